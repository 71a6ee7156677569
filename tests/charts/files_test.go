// Package charts checks what the charts and the GitOps files say, without a cluster: hack/charts.sh renders
// them first.
package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const root = "../.."

// An object as it is read from YAML.
type object = map[string]any

// rendered reads what hack/charts.sh rendered with one set of values.
func rendered(t *testing.T, set string) []object {
	t.Helper()
	dir := os.Getenv("RENDERED")
	if dir == "" {
		t.Fatal("RENDERED names no folder: hack/charts.sh renders the charts and runs this")
	}
	return objects(t, filepath.Join(dir, set+".yaml"))
}

func objects(t *testing.T, file string) []object {
	t.Helper()
	var all []object
	for _, part := range strings.Split("\n"+read(t, file), "\n---") {
		var it object
		if err := yaml.Unmarshal([]byte(part), &it); err != nil {
			t.Fatalf("%s: %v\n%s", file, err, part)
		}
		if len(it) > 0 {
			all = append(all, it)
		}
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: nothing there (%v)", pattern, err)
	}
	return found
}

// at follows keys; nil where there is none.
func at(it any, keys ...string) any {
	for _, key := range keys {
		inner, _ := it.(object)
		it = inner[key]
	}
	return it
}

func name(it object) string {
	text, _ := at(it, "metadata", "name").(string)
	return text
}

// generated compares a file in git with what it is made from; UPDATE=1 writes it.
func generated(t *testing.T, file, expected string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(expected), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if was, err := os.ReadFile(file); err != nil || string(was) != expected {
		t.Errorf("%s is not what it is made from: UPDATE=1 hack/charts.sh writes it (%v)", file, err)
	}
}
