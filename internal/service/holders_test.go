package service

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota/api"
)

// A report replaces the one before it, secret by secret.
func TestAReportNamesEachSecretOnce(t *testing.T) {
	once := api.ReportRequest{Instance: "pod-1", Holding: []api.HeldVersions{{Secret: "a", Versions: []string{"v1", "v2"}}, {Secret: "b"}}}
	if err := checkReport(once); err != nil {
		t.Error(err)
	}
	twice := api.ReportRequest{Instance: "pod-1", Holding: []api.HeldVersions{{Secret: "a", Versions: []string{"v1"}}, {Secret: "a", Versions: []string{"v2"}}}}
	if err := checkReport(twice); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("the second would drop what the first reports: %v", err)
	}
}
