package charts

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// What the chart calls otherwise: the tasks that values list.
var called = map[string]string{"countersign-tasks-listed": "countersign-tasks-jobs"}

// grants are RBAC objects by kind, namespace and name, without labels.
func grants(t *testing.T, all []object, keep func(object) bool) map[string]object {
	t.Helper()
	found := map[string]object{}
	for _, it := range all {
		if api, _ := it["apiVersion"].(string); !strings.HasPrefix(api, "rbac.") || !keep(it) {
			continue
		}
		it := clone(t, it)
		meta := it["metadata"].(object)
		for _, named := range []any{meta, it["roleRef"]} {
			if named, is := named.(object); is && called[fmt.Sprint(named["name"])] != "" {
				named["name"] = called[fmt.Sprint(named["name"])]
			}
		}
		delete(meta, "labels")
		if rules, _ := it["rules"].([]any); len(rules) == 0 {
			delete(it, "rules") // none, or filled in by the API server
		}
		found[fmt.Sprintf("%s %v/%s", it["kind"], meta["namespace"], name(it))] = it
	}
	return found
}

func clone(t *testing.T, it object) object {
	t.Helper()
	text, err := yaml.Marshal(it)
	if err != nil {
		t.Fatal(err)
	}
	var copied object
	if err := yaml.Unmarshal(text, &copied); err != nil {
		t.Fatal(err)
	}
	return copied
}

func component(it object) string {
	text, _ := at(it, "metadata", "labels", "app.kubernetes.io/component").(string)
	return text
}

func TestTheChartGrantsWhatTheExamplesGrantAndNoMore(t *testing.T) {
	var examples []object
	for _, file := range glob(t, "examples/rbac/*.yaml") {
		examples = append(examples, objects(t, file)...)
	}
	wanted := grants(t, examples, func(object) bool { return true })
	// `rights` has Secrets in finance, Jobs, a decision point that Falco tells of pods, and pod certificates.
	is := grants(t, rendered(t, "rights"), func(it object) bool {
		return slices.Contains([]string{"operator", "decide", "issue", "metrics"}, component(it))
	})
	for id, it := range wanted {
		if !reflect.DeepEqual(is[id], it) {
			t.Errorf("%s:\nthe example has %v\nthe chart has   %v", id, it, is[id])
		}
	}
	for id, it := range is {
		if _, there := wanted[id]; !there {
			t.Errorf("no example has %s: %v", id, it)
		}
	}
}

// tests/it/pod_certificate runs by a manifest of its own, and proves what it lets through and what not.
func TestPodCertificatesAreAskedForAndSignedAsTheTestsHaveIt(t *testing.T) {
	tested := objects(t, filepath.Join(root, "tests/it/pod_certificate/rights.yaml"))
	var here []object
	for _, it := range rendered(t, "rights") {
		delete(it["metadata"].(object), "labels")
		here = append(here, it)
	}
	for where, all := range map[string][]object{
		"the chart": here, "the example": objects(t, filepath.Join(root, "examples/rbac/pod-certificates.yaml")),
	} {
		for _, wanted := range tested {
			if wanted["kind"] == "ServiceAccount" {
				continue
			}
			found := slices.ContainsFunc(all, func(it object) bool { return reflect.DeepEqual(it, wanted) })
			if !found {
				t.Errorf("%s doesn't have %s %s as it was tested", where, wanted["kind"], name(wanted))
			}
		}
	}
}

// Whatever the values are.
func TestNoRoleHasAWildcardOrLetsItsHolderBecomeMore(t *testing.T) {
	for _, set := range []string{"default", "rights", "postgresql", "everything", "all-secrets"} {
		for _, it := range rendered(t, set) {
			rules, _ := it["rules"].([]any)
			for _, rule := range rules {
				for _, key := range []string{"verbs", "resources", "apiGroups"} {
					found := words(at(rule, key))
					for _, forbidden := range []string{"*", "escalate", "impersonate", "bind", "delegate"} {
						if slices.Contains(found, forbidden) {
							t.Errorf("%s: %s %s has %s %s", set, it["kind"], name(it), key, forbidden)
						}
					}
				}
			}
		}
	}
}

func TestSecretsOfTheClusterAreReadOnlyWhereThatIsAskedFor(t *testing.T) {
	for set, expected := range map[string]bool{"default": false, "rights": false, "everything": false, "all-secrets": true} {
		has := false
		for _, it := range rendered(t, set) {
			rules, _ := it["rules"].([]any)
			for _, rule := range rules {
				has = has || it["kind"] == "ClusterRole" && slices.Contains(words(at(rule, "resources")), "secrets")
			}
		}
		if has != expected {
			t.Errorf("%s: a ClusterRole has secrets: %v", set, has)
		}
	}
}

func TestRolesOfPeopleWriteNoStatusAndNothingOfTheCluster(t *testing.T) {
	clusterWide := []string{"agentowners", "clusteragentpolicies", "taskkinds", "trustdomains"}
	people := 0
	for _, it := range rendered(t, "default") {
		if it["kind"] != "ClusterRole" || component(it) != "" {
			continue
		}
		people++
		for _, rule := range it["rules"].([]any) {
			reads := !slices.ContainsFunc(words(at(rule, "verbs")), func(verb string) bool {
				return !slices.Contains([]string{"get", "list", "watch"}, verb)
			})
			for _, resource := range words(at(rule, "resources")) {
				if strings.Contains(resource, "/") || !reads && slices.Contains(clusterWide, resource) {
					t.Errorf("%s: %v", name(it), rule)
				}
			}
		}
	}
	if people != 3 {
		t.Errorf("%d roles for people", people)
	}
}

func words(list any) []string {
	items, _ := list.([]any)
	var all []string
	for _, item := range items {
		all = append(all, fmt.Sprint(item))
	}
	return all
}
