package charts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What tools say of an object in each state: Flux and Helm by kstatus, Argo CD by our scripts. As docs/gitops.md.
var states = map[string]struct{ kstatus, argo string }{
	"new":       {"InProgress", "Progressing"},
	"waiting":   {"InProgress", "Progressing"},
	"ready":     {"Current", "Healthy"},
	"refused":   {"Failed", "Degraded"},
	"suspended": {"Current", "Suspended"},
	"over":      {"Current", "Healthy"},
}

// computed is what the library of Flux and Helm 4 says.
func computed(t *testing.T, it object) string {
	t.Helper()
	text, err := json.Marshal(it)
	if err != nil {
		t.Fatal(err)
	}
	var read unstructured.Unstructured
	if err := read.UnmarshalJSON(text); err != nil { // integers stay integers
		t.Fatal(err)
	}
	result, err := status.Compute(&read)
	if err != nil {
		t.Fatal(err)
	}
	return result.Status.String()
}

// Of objects that a real operator wrote: hack/charts_gitops.sh keeps them, by state.
func TestLiveObjectsAreInTheStateThatToolsSee(t *testing.T) {
	dir := os.Getenv("LIVE")
	if dir == "" {
		t.Skip("LIVE names no folder: hack/charts.sh makes the objects")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, file := range files {
		base := filepath.Base(file)
		t.Run(base, func(t *testing.T) {
			state, _, _ := strings.Cut(base, ".")
			expected, known := states[state]
			if !known {
				t.Fatalf("there is no state %s", state)
			}
			it := objects(t, file)[0]
			kind := it["kind"].(string)
			seen[kind]++
			if kind == "AgentOwner" && it["status"] != nil {
				t.Error("something is written about an owner")
			}
			if is := computed(t, it); is != expected.kstatus {
				t.Errorf("kstatus: %s, and it should be %s: %v", is, expected.kstatus, it["status"])
			}
			script := read(t, filepath.Join(root, scripts, kind, "health.lua"))
			if is, message := judge(t, script, it); is != expected.argo {
				t.Errorf("Argo CD: %s, and it should be %s: %s", is, expected.argo, message)
			}
		})
	}
	for kind, least := range map[string]int{
		"AgentIdentity": 10, "Delegation": 6, "AgentPolicy": 3, "ClusterAgentPolicy": 1, "TaskKind": 3, "TrustDomain": 3, "AgentOwner": 1,
	} {
		if seen[kind] < least {
			t.Errorf("%d objects of kind %s, expected %d", seen[kind], kind, least)
		}
	}
}

// By the kinds' own defaults: kstatus takes an object without conditions for good.
func TestWhatNobodyLookedAtIsInProgress(t *testing.T) {
	for _, file := range glob(t, "crds/*.countersign.dev.yaml") {
		crd := objects(t, file)[0]
		kind := at(crd, "spec", "names", "kind").(string)
		if kind == "AgentOwner" {
			continue // nobody writes about one
		}
		status := at(at(crd, "spec", "versions").([]any)[0], "schema", "openAPIV3Schema", "properties", "status", "default")
		it := object{"kind": kind, "metadata": object{"generation": 1.0}, "status": status}
		if is := computed(t, it); is != "InProgress" {
			t.Errorf("%s: %s", kind, is)
		}
	}
}

// Where an object was changed since it was looked at, nobody calls it good.
func TestKstatusWaitsForTheNewestGeneration(t *testing.T) {
	for _, file := range glob(t, scripts+"/*/testdata/changed.yaml") {
		if is := computed(t, objects(t, file)[0]); is != "InProgress" {
			t.Errorf("%s: %s", file, is)
		}
	}
}

func TestTheDocumentedStatesAreThose(t *testing.T) {
	said := map[string]string{
		"not looked at yet": "new", "waiting, for a task say": "waiting", "good": "ready",
		"refused; a person is needed": "refused", "suspended": "suspended", "over": "over",
	}
	found := 0
	for _, line := range strings.Split(read(t, filepath.Join(root, "docs/gitops.md")), "\n") {
		cells := strings.Split(line, " | ")
		if len(cells) != 4 {
			continue
		}
		state, known := states[said[strings.TrimPrefix(cells[0], "| ")]]
		if !known {
			continue
		}
		found++
		if cells[2] != state.kstatus || cells[3] != state.argo+" |" {
			t.Errorf("docs/gitops.md says: %s", line)
		}
	}
	if found != len(states) {
		t.Errorf("docs/gitops.md has %d of %d states", found, len(states))
	}
}
