package parcel_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rota-dev/rota"

	"example.com/rota-parcel/parcel"
	"example.com/rota-parcel/parcel/parceltest"
)

func TestATemplateIsDelivered(t *testing.T) {
	server, connection := start(t)
	value, err := rota.ParseFieldMap(map[string]string{"header": "Bearer {token}"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	target := &parcel.Setting{Target: "settings", Connection: connection, Account: "shop", Setting: "header", Value: value}
	c := rota.NewCredential(map[string]string{parcel.FieldToken: "abc"})
	if err := target.Deliver(t.Context(), rota.DeliverRequest{Credential: c}); err != nil {
		t.Fatal(err)
	}
	if got, _ := server.Setting("shop", "header"); got != "Bearer abc" {
		t.Errorf("the setting is %q", got)
	}
}

// A reload that took the old process for the new one would return with the app
// on the old version.
func TestAReloadWaitsForTheVersion(t *testing.T) {
	server, connection := start(t)
	app := &parcel.App{Reloader: "storefront", Connection: connection, App: "storefront"}
	for _, version := range []string{"v1", "v2"} {
		if err := app.Reload(t.Context(), rota.ReloadRequest{Version: version}); err != nil {
			t.Fatal(err)
		}
		if got := server.Running("storefront"); got != version {
			t.Errorf("it runs %q, want %s", got, version)
		}
	}
}

func TestARefusedAdministratorIsNotTheSecretsFault(t *testing.T) {
	server := parceltest.New()
	defer server.Close()
	connection, err := parcel.Connect("test", server.URL, "expired")
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&parcel.Tokens{Connection: connection, Account: "shop"}).List(t.Context())
	if err == nil || errors.Is(err, rota.ErrRefused) || len(rota.RemediesOf(err)) == 0 || rota.ClassOf(err) != rota.ClassStop {
		t.Errorf("got %v with the remedies %v", err, rota.RemediesOf(err))
	}
}

func TestParcelSaysHowLongToWait(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	connection, err := parcel.Connect("test", server.URL, "admin")
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&parcel.Tokens{Connection: connection, Account: "shop"}).List(t.Context())
	if e, ok := errors.AsType[*rota.Error](err); !ok || e.RetryAfter != 7*time.Second || e.Class != rota.ClassWait {
		t.Errorf("got %+v", err)
	}
}
