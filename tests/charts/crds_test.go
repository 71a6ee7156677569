package charts

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const (
	head   = "# generated: UPDATE=1 hack/charts.sh\n"
	keep   = "  {{- if .Values.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
	labels = "    {{- include \"countersign-crds.labels\" . | nindent 4 }}\n"
)

// template is a file of crds/ with what the chart adds.
func template(t *testing.T, file string) string {
	t.Helper()
	text := read(t, file)
	if strings.Contains(text, "{{") {
		t.Fatalf("%s has braces that Helm would take for its own", file)
	}
	_, text, _ = strings.Cut(text, "\n") // its first line says that it is generated
	for _, place := range []string{"metadata:\n", "  labels:\n"} {
		if strings.Count(text, "\n"+place) != 1 {
			t.Fatalf("%s hasn't exactly one line %q", file, place)
		}
	}
	text = strings.Replace(text, "\nmetadata:\n", "\nmetadata:\n"+keep, 1)
	return head + strings.Replace(text, "\n  labels:\n", "\n  labels:\n"+labels, 1)
}

func TestTheChartOfTheKindsIsMadeFromCRDs(t *testing.T) {
	shipped := map[string]bool{"_helpers.tpl": true, "NOTES.txt": true}
	for _, file := range glob(t, "crds/*.yaml") {
		base := filepath.Base(file)
		shipped[base] = true
		generated(t, filepath.Join(root, "charts/countersign-crds/templates", base), template(t, file))
	}
	for _, file := range glob(t, "charts/countersign-crds/templates/*") {
		if !shipped[filepath.Base(file)] {
			t.Errorf("%s is of nothing in crds/", file)
		}
	}
}

func TestTheChartOfTheKindsRendersWhatCRDsHas(t *testing.T) {
	byName := map[string]object{}
	for _, it := range rendered(t, "countersign-crds") {
		byName[it["kind"].(string)+"/"+name(it)] = it
	}
	for _, file := range glob(t, "crds/*.yaml") {
		for _, wanted := range objects(t, file) {
			id := wanted["kind"].(string) + "/" + name(wanted)
			is, there := byName[id]
			delete(byName, id)
			if !there {
				t.Errorf("%s is not in the chart", id)
				continue
			}
			if at(is, "metadata", "annotations", "helm.sh/resource-policy") != "keep" {
				t.Errorf("%s would go with the chart", id)
			}
			for key, value := range at(wanted, "metadata", "labels").(object) {
				if at(is, "metadata", "labels", key) != value {
					t.Errorf("%s has not the label %s", id, key)
				}
			}
			for _, it := range []object{is, wanted} {
				meta := it["metadata"].(object)
				delete(meta, "labels")
				delete(meta, "annotations")
			}
			if !reflect.DeepEqual(is, wanted) {
				t.Errorf("%s is rendered differently from crds/", id)
			}
		}
	}
	for id := range byName {
		t.Errorf("%s is in the chart and not in crds/", id)
	}
}
