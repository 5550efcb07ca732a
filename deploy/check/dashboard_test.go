package check

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

func TestTheDashboardsQueriesParse(t *testing.T) {
	text, err := os.ReadFile("../grafana/rota.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	// What Grafana substitutes for them.
	variables := strings.NewReplacer("$__rate_interval", "5m", "$job", "rota")
	p := parser.NewParser(parser.Options{})
	ids, queries, rows := map[int]bool{}, 0, 0
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || panel.Title == "" || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("panel %d, %q: duplicate id, no title, or too far to the right", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		if panel.Type == "row" {
			rows++
		} else if len(panel.Targets) == 0 {
			t.Errorf("%q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			queries++
			expr := variables.Replace(target.Expr)
			if _, err := p.ParseExpr(expr); err != nil {
				t.Errorf("%q: %s: %v", panel.Title, target.Expr, err)
			}
			if !strings.Contains(expr, `job=~"rota"`) || strings.Contains(expr, "$") {
				t.Errorf("%q: %s: it doesn't select the chosen job, or uses another variable", panel.Title, target.Expr)
			}
		}
	}
	if dashboard.Title != "Rota" || rows < 6 || queries < 40 {
		t.Errorf("%q has %d rows and %d queries", dashboard.Title, rows, queries)
	}
}
