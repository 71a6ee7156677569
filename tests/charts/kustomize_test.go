package charts

import (
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const kustomize = "deploy/kustomize"

func TestTheKustomizeBaseHasCRDs(t *testing.T) {
	text := "# generated: UPDATE=1 hack/charts.sh, from crds/\n"
	for _, file := range glob(t, "crds/*.yaml") {
		_, body, _ := strings.Cut(read(t, file), "\n")
		text += "---\n" + body
	}
	generated(t, filepath.Join(root, kustomize, "crds/crds.yaml"), text)
}

// With its default values, and without what is Helm's.
func TestTheKustomizeBaseHasTheOperatorOfTheChart(t *testing.T) {
	text := "# generated: UPDATE=1 hack/charts.sh, from charts/countersign with its default values\n"
	for _, it := range rendered(t, "default") {
		if at(it, "metadata", "annotations", "helm.sh/hook") != nil {
			continue
		}
		for _, labels := range []any{at(it, "metadata", "labels"), at(it, "spec", "template", "metadata", "labels")} {
			if labels, is := labels.(object); is {
				for _, key := range []string{"helm.sh/chart", "app.kubernetes.io/managed-by"} {
					delete(labels, key)
				}
			}
		}
		body, err := yaml.Marshal(it)
		if err != nil {
			t.Fatal(err)
		}
		text += "---\n" + string(body)
	}
	generated(t, filepath.Join(root, kustomize, "operator/operator.yaml"), text)
}
