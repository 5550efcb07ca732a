package rotaserver_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/rotaserver"
	"github.com/rota-dev/rota/internal/testenv/served"
)

// holders lists who holds the cookies' key, as "instance current" or "instance older".
func holders(t *testing.T, server *served.Server) []string {
	t.Helper()
	doc, err := server.API().Holders(t.Context(), cookies)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, h := range doc.Holders {
		which := "older"
		if h.Current {
			which = "current"
		}
		all = append(all, h.Instance+" "+which)
	}
	slices.Sort(all)
	return all
}

func TestTheServerKnowsWhoHoldsWhat(t *testing.T) {
	server := served.Start(t, config)
	server.Rotate(cookies)
	one := open(t, client.Options{Source: rotaserver.New(server.API()), Instance: "pod-1"})
	two := open(t, client.Options{Source: rotaserver.New(server.API()), Instance: "pod-2"})
	first := key(t, one.Secret(cookies))
	key(t, two.Secret(cookies))
	// A value that's read counts at once, before any report.
	if got, want := holders(t, server), []string{"pod-1 current", "pod-2 current"}; !slices.Equal(got, want) {
		t.Errorf("after the first read: %q, want %q", got, want)
	}
	value, err := two.Secret(cookies).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release := two.Secret(cookies).Hold(value)
	server.Rotate(cookies)
	eventually(t, "both have the new key", func() bool { return key(t, one.Secret(cookies)) != first && key(t, two.Secret(cookies)) != first })
	want := []string{"pod-1 current", "pod-1 older", "pod-2 current", "pod-2 older"}
	eventually(t, "both report it, and that they may still use the old one", func() bool { return slices.Equal(holders(t, server), want) })
	status, err := server.API().Status(t.Context(), api.StatusRequest{Names: []string{cookies}})
	if err != nil || status.Secrets[0].Instances != 4 || status.Secrets[0].Older != 2 {
		t.Errorf("the status is %+v, %v", status.Secrets[0], err)
	}
	release()
	one.Close()
	if got, want := holders(t, server), []string{"pod-2 current", "pod-2 older"}; !slices.Equal(got, want) {
		t.Errorf("after the end of one: %q, want %q", got, want)
	}
	forgotten, err := server.API().Forget(t.Context(), api.ForgetRequest{Secret: cookies, Reason: "they're gone"})
	if err != nil || forgotten.Forgotten != 1 {
		t.Errorf("forgotten: %+v, %v", forgotten, err)
	}
	if got, want := holders(t, server), []string{"pod-2 current"}; !slices.Equal(got, want) {
		t.Errorf("after they're forgotten: %q, want %q", got, want)
	}
}

func TestReportsOutlastARestartOfTheServer(t *testing.T) {
	server := served.Start(t, config)
	server.Rotate(cookies)
	c := open(t, client.Options{Source: rotaserver.New(server.API()), Instance: "pod-1"})
	key(t, c.Secret(cookies))
	server.Stop()
	server.Start()
	if got, want := holders(t, server), []string{"pod-1 current"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReportsThatAreRefused(t *testing.T) {
	server := served.Start(t, config)
	create := api.AccessChange{Action: api.AccessCreatePrincipal, Name: "app/other", Rules: []api.Rule{{Action: "list", Pattern: "*"}}}
	if err := server.API().ChangeAccess(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	made, err := server.API().CreateKey(t.Context(), "app/other", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	limited, err := api.New(api.Options{URL: server.URL(), Token: api.StaticToken(made.Token)})
	if err != nil {
		t.Fatal(err)
	}
	report := func(name string) api.ReportRequest {
		return api.ReportRequest{Instance: "pod-1", Holding: []api.HeldVersions{{Secret: name, Versions: []string{"v1"}}}}
	}
	doc, err := limited.Report(t.Context(), report(cookies))
	if err != nil || len(doc.Refused) != 1 || doc.Refused[0].Reason != api.RefusedDenied {
		t.Errorf("of one that it may not read: %+v, %v", doc, err)
	}
	doc, err = server.API().Report(t.Context(), report("prod/none"))
	if err != nil || len(doc.Refused) != 1 || doc.Refused[0].Reason != api.RefusedUnknown {
		t.Errorf("of one that there isn't: %+v, %v", doc, err)
	}
	if got := holders(t, server); len(got) != 0 {
		t.Errorf("recorded: %q", got)
	}
	if doc, err = server.API().Report(t.Context(), report(cookies)); err != nil || doc.NextSeconds != 200 {
		t.Errorf("the next report is wanted in %d s, %v", doc.NextSeconds, err)
	}
	if _, err = limited.Report(t.Context(), api.ReportRequest{Instance: "pod-1", Ended: true}); err != nil {
		t.Error(err)
	}
	if got := holders(t, server); len(got) != 1 {
		t.Errorf("another principal's instance of the same name ended it: %q", got)
	}
	for what, bad := range map[string]api.ReportRequest{
		"no name":         {},
		"a control":       {Instance: "pod\n1"},
		"held at the end": {Instance: "pod-1", Ended: true, Holding: report(cookies).Holding},
	} {
		if _, err := server.API().Report(t.Context(), bad); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	many := api.ReportRequest{Instance: "pod-1"}
	for i := range 1001 {
		many.Holding = append(many.Holding, api.HeldVersions{Secret: fmt.Sprint("s", i)})
	}
	if _, err := server.API().Report(t.Context(), many); err == nil {
		t.Error("1001 secrets in one report: no error")
	}
}
