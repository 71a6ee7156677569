package charts

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

// The folders are laid out as Argo CD's own resource_customizations.
const scripts = "deploy/argocd/countersign.dev"

type cases struct {
	Tests []struct {
		HealthStatus struct{ Status, Message string }
		InputPath    string
	}
}

// judge runs a script as Argo CD does: gopher-lua, the object as `obj`, of the libraries only what can't
// reach outside, a bound on time.
func judge(t *testing.T, script string, it object) (status, message string) {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	limit, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	state.SetContext(limit)
	state.SetGlobal("obj", toLua(state, it))
	if err := state.DoString(script); err != nil {
		t.Fatal(err)
	}
	answer, is := state.Get(-1).(*lua.LTable)
	if !is {
		t.Fatalf("it returned no table: %v", state.Get(-1))
	}
	return answer.RawGetString("status").String(), answer.RawGetString("message").String()
}

func toLua(state *lua.LState, it any) lua.LValue {
	switch it := it.(type) {
	case nil:
		return lua.LNil
	case bool:
		return lua.LBool(it)
	case float64:
		return lua.LNumber(it)
	case string:
		return lua.LString(it)
	case []any:
		table := state.NewTable()
		for _, item := range it {
			table.Append(toLua(state, item))
		}
		return table
	case object:
		table := state.NewTable()
		for key, item := range it {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	panic(fmt.Sprintf("%T is nothing of JSON", it))
}

func TestHealthScriptsAnswerAsTheirCasesSay(t *testing.T) {
	for _, file := range glob(t, scripts+"/*/health_test.yaml") {
		dir := filepath.Dir(file)
		script := read(t, filepath.Join(dir, "health.lua"))
		var all cases
		if err := yaml.UnmarshalStrict([]byte(read(t, file)), &all); err != nil {
			t.Fatal(err)
		}
		tried := map[string]bool{}
		for _, one := range all.Tests {
			t.Run(filepath.Base(dir)+"/"+filepath.Base(one.InputPath), func(t *testing.T) {
				tried[one.InputPath] = true
				it := objects(t, filepath.Join(dir, one.InputPath))[0]
				if it["kind"] != filepath.Base(dir) {
					t.Fatalf("it is a %v", it["kind"])
				}
				status, message := judge(t, script, it)
				if status != one.HealthStatus.Status || message != one.HealthStatus.Message {
					t.Errorf("%s: %s", status, message)
				}
			})
		}
		inputs, _ := filepath.Glob(filepath.Join(dir, "testdata/*"))
		if len(inputs) != len(tried) {
			t.Errorf("%s: %d inputs, %d tried", dir, len(inputs), len(tried))
		}
	}
}

// As the CRDs' own defaults have it, and before them.
func TestNothingIsHealthyThatNobodyLookedAt(t *testing.T) {
	for _, file := range glob(t, scripts+"/*/health.lua") {
		kind := filepath.Base(filepath.Dir(file))
		if kind == "AgentOwner" {
			continue // nothing is written about one
		}
		for _, status := range []string{`null`, `{}`, `{"conditions": []}`, `{"conditions": [{"type": "Ready", "status": "Unknown", "reason": "Pending", "message": ""}]}`} {
			var it object
			text := `{"kind": "` + kind + `", "metadata": {"generation": 1}, "spec": {}, "status": ` + status + `}`
			if err := json.Unmarshal([]byte(text), &it); err != nil {
				t.Fatal(err)
			}
			if said, _ := judge(t, read(t, file), it); said != "Progressing" {
				t.Errorf("%s with status %s is %s", kind, status, said)
			}
		}
	}
}

func TestArgoCDsConfigHasTheScriptOfEachKind(t *testing.T) {
	text := "# generated: UPDATE=1 hack/charts.sh. Kustomize: a patch of Argo CD's argocd-cm.\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\ndata:\n"
	for _, file := range glob(t, "crds/*.countersign.dev.yaml") {
		kind := at(objects(t, file)[0], "spec", "names", "kind").(string)
		text += "  resource.customizations.health.countersign.dev_" + kind + ": |\n"
		script := strings.TrimSuffix(read(t, filepath.Join(root, scripts, kind, "health.lua")), "\n")
		for _, line := range strings.Split(script, "\n") {
			text += strings.TrimRight("    "+line, " ") + "\n"
		}
	}
	generated(t, filepath.Join(root, "deploy/argocd/argocd-cm.yaml"), text)
}
