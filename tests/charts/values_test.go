package charts

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

// describe walks values and schema beside one another.
func describe(t *testing.T, path string, value any, schema any) {
	t.Helper()
	properties, has := at(schema, "properties").(object)
	inner, is := value.(object)
	if !has || !is {
		return
	}
	if at(schema, "additionalProperties") != false {
		t.Errorf("%s: the schema lets unknown values through", path)
	}
	for key, below := range inner {
		if properties[key] == nil {
			t.Errorf("%s.%s is not in the schema", path, key)
			continue
		}
		describe(t, path+"."+key, below, properties[key])
	}
	for key := range properties {
		if _, there := inner[key]; !there && key != "global" {
			t.Errorf("%s.%s is in the schema and has no default in values.yaml", path, key)
		}
	}
}

func TestTheSchemaKnowsEveryValueAndNoOther(t *testing.T) {
	for _, chart := range []string{"countersign", "countersign-crds"} {
		dir := filepath.Join(root, "charts", chart)
		var values, schema object
		if err := yaml.Unmarshal([]byte(read(t, filepath.Join(dir, "values.yaml"))), &values); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "values.schema.json"))), &schema); err != nil {
			t.Fatal(err)
		}
		describe(t, chart, values, schema)
	}
}
