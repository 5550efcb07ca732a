package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"example.com/rota-parcel/parcel"
	"example.com/rota-parcel/parcel/parceltest"
	"github.com/rota-dev/rota/app"
)

// The whole program rotates a token of Parcel, as rota.yaml says.
func TestATokenIsRotated(t *testing.T) {
	server := parceltest.New()
	defer server.Close()
	data := filepath.Join(t.TempDir(), "data")
	options := app.Options{Providers: append(app.Providers(), parcel.Provider())}
	rota := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		env := []string{"ROTA_DATA_DIR=" + data, "PARCEL_URL=" + server.URL, "PARCEL_TOKEN=" + parceltest.AdminToken}
		if code := app.Run(t.Context(), options, args, env, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
		return out.String()
	}
	rota("validate")
	rota("check")
	rota("run")
	tokens := server.Tokens("shop")
	if len(tokens) != 1 || !tokens[0].Active {
		t.Fatalf("the account has the tokens %+v", tokens)
	}
	if value, ok := server.Setting("shop", "api_token"); !ok || value == "" {
		t.Error("the setting was not written")
	}
	if server.Running("storefront") == "" {
		t.Error("the app was not restarted")
	}
}
