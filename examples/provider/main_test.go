package main

import (
	"bytes"
	"os"
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

// rota providers describes Parcel, and its example is a good rota.yaml.
func TestParcelIsDescribed(t *testing.T) {
	options := app.Options{Providers: append(app.Providers(), parcel.Provider())}
	example := filepath.Join(t.TempDir(), "rota.yaml")
	if err := os.WriteFile(example, []byte(parcel.Provider().Example), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"providers", "parcel"}, {"validate", "-c", example}} {
		var out bytes.Buffer
		if code := app.Run(t.Context(), options, args, nil, strings.NewReader(""), &out, &out); code != 0 {
			t.Errorf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
		if args[0] == "providers" && !strings.Contains(out.String(), "issuer parcel_token:") {
			t.Errorf("rota providers parcel says\n%s", out.String())
		}
	}
}
