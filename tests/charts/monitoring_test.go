package charts

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

var (
	registered = regexp.MustCompile(`register(_with_unit)?\(\s*"([a-z_]+)"`)
	variable   = regexp.MustCompile(`\$__rate_interval|\$namespace`)
)

// metrics are the names that the programs register, as Prometheus sees them: which of a name with `_total`,
// `_bucket` and the like exists is told by neither, so that all are taken.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, file := range slices.Concat(glob(t, "src/*/metrics.rs"), glob(t, "src/*/*/metrics.rs"), glob(t, "src/runtime/*.rs")) {
		for _, found := range registered.FindAllStringSubmatch(read(t, file), -1) {
			name := "countersign_" + found[2]
			if found[1] != "" {
				name += "_seconds"
			}
			for _, end := range []string{"", "_total", "_bucket", "_sum", "_count"} {
				known[name+end] = true
			}
		}
	}
	for _, name := range []string{"available", "capacity"} { // the kubelet's, of the volumes of audit logs
		known["kubelet_volume_stats_"+name+"_bytes"] = true
	}
	if len(known) < 100 {
		t.Fatalf("only %d names were found in the sources", len(known))
	}
	return known
}

// check parses an expression and knows its metrics.
func check(t *testing.T, known map[string]bool, where, text string) {
	t.Helper()
	text = variable.ReplaceAllString(text, "5m")
	expr, err := parser.ParseExpr(text)
	if err != nil {
		t.Errorf("%s: %v\n%s", where, err, text)
		return
	}
	names := 0
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if it, is := node.(*parser.VectorSelector); is {
			names++
			if !known[it.Name] {
				t.Errorf("%s: no program has %s", where, it.Name)
			}
		}
		return nil
	})
	if names == 0 {
		t.Errorf("%s asks for nothing", where)
	}
}

func TestAlertsAreOfMetricsThatExist(t *testing.T) {
	known, count := metrics(t), 0
	for _, it := range rendered(t, "everything") {
		if it["kind"] != "PrometheusRule" {
			continue
		}
		for _, group := range at(it, "spec", "groups").([]any) {
			for _, rule := range at(group, "rules").([]any) {
				count++
				alert := at(rule, "alert").(string)
				check(t, known, alert, at(rule, "expr").(string))
				if at(rule, "labels", "severity") == nil || at(rule, "annotations", "summary") == nil {
					t.Errorf("%s has no severity or summary", alert)
				}
				text, _ := json.Marshal(rule)
				for _, word := range []string{"NAMESPACE", "_SECONDS"} {
					if strings.Contains(string(text), word) {
						t.Errorf("%s: %s was not filled in: %s", alert, word, text)
					}
				}
			}
		}
	}
	if count < 15 {
		t.Errorf("only %d alerts", count)
	}
}

func TestTheDashboardIsOfMetricsThatExist(t *testing.T) {
	known, count := metrics(t), 0
	for _, it := range rendered(t, "everything") {
		text, _ := at(it, "data", "countersign.json").(string)
		if text == "" {
			continue
		}
		var board object
		if err := json.Unmarshal([]byte(text), &board); err != nil {
			t.Fatal(err)
		}
		for _, panel := range board["panels"].([]any) {
			targets, _ := at(panel, "targets").([]any)
			for _, target := range targets {
				count++
				check(t, known, at(panel, "title").(string), at(target, "expr").(string))
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d questions", count)
	}
}

// By who renders them: whoever asks for metrics must do it as they are served.
func TestMetricsAreReadAsTheyAreServed(t *testing.T) {
	for set, secure := range map[string]bool{"default": true, "everything": true, "all-secrets": true, "postgresql": false} {
		programs, monitors := 0, 0
		for _, it := range rendered(t, set) {
			switch it["kind"] {
			case "StatefulSet":
				programs++
				container := at(it, "spec", "template", "spec").(object)["containers"].([]any)[0]
				if slices.Contains(words(at(container, "args")), "--metrics-secure") != secure {
					t.Errorf("%s: %s serves metrics otherwise", set, name(it))
				}
				asked := map[bool]string{true: "health", false: "metrics"}[secure]
				for _, probe := range []string{"livenessProbe", "readinessProbe"} {
					if port := at(container, probe, "httpGet", "port"); port != asked {
						t.Errorf("%s: the %s of %s asks %v", set, probe, name(it), port)
					}
				}
			case "ServiceMonitor", "PodMonitor":
				monitors++
				endpoints, _ := at(it, "spec", "endpoints").([]any)
				pods, _ := at(it, "spec", "podMetricsEndpoints").([]any)
				for _, endpoint := range slices.Concat(endpoints, pods) {
					if at(endpoint, "port") != "metrics" {
						continue // of sidecars, whose accounts may ask the API server nothing
					}
					own, _ := at(endpoint, "bearerTokenFile").(string)
					given, _ := at(endpoint, "authorization", "credentials", "name").(string)
					if (at(endpoint, "scheme") == "https") != secure || ((own == "") == (given == "")) == secure {
						t.Errorf("%s: %v", set, endpoint)
					}
					// Only where there is nothing to verify by.
					blind := at(endpoint, "tlsConfig", "insecureSkipVerify") == true
					named := at(endpoint, "tlsConfig", "serverName") != nil
					if secure && blind == named || !secure && (blind || named) || set == "everything" && blind {
						t.Errorf("%s: %v", set, endpoint)
					}
				}
			}
		}
		if programs == 0 || monitors == 0 && set != "default" {
			t.Errorf("%s: %d programs, %d monitors", set, programs, monitors)
		}
	}
}
