package access_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/memory"
)

func TestAKeyLooksLikeAWSs(t *testing.T) {
	t.Parallel()
	d := &memory.Directory{}
	issued, err := access.NewAdministration(d, d, nil).Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	secret := issued.Secret.Reveal()
	if !regexp.MustCompile(`^ROTA[A-Z2-7]{16}$`).MatchString(issued.Key.ID) || len(secret) != 40 {
		t.Errorf("id %s, secret of %d characters", issued.Key.ID, len(secret))
	}
	id, parsed, ok := access.ParseToken(issued.Token())
	if !ok || id != issued.Key.ID || parsed != secret {
		t.Errorf("the token does not hold id and secret")
	}
}

func TestASecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := access.GenerateSecret()
	issued := access.Issued{Principal: "p", Key: access.Key{CreatedAt: time.Unix(0, 0)}, Secret: s}
	login := access.Login{Secret: s}
	asJSON, err := json.Marshal([]any{issued, login, s})
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "a", issued, "b", login, "c", s)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "a", issued, "b", login, "c", s)
	texts := []string{string(asJSON), logged.String(), fmt.Sprint(&issued, &login, &s)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		texts = append(texts, fmt.Sprintf(verb, issued), fmt.Sprintf(verb, login), fmt.Sprintf(verb, s))
	}
	for _, text := range texts {
		if strings.Contains(text, s.Reveal()) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", s.Reveal())) {
			t.Errorf("the secret shows: %s", text)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("rota_ROTAAAAAAAAAAAAAAAAA_" + strings.Repeat("A", 40))
	f.Add("rota_")
	f.Add("rota_ROTA\x00")
	f.Fuzz(func(t *testing.T, token string) {
		id, secret, ok := access.ParseToken(token)
		if ok != (id != "") || ok && (!access.IsKeyID(id) || "rota_"+id+"_"+secret != token) {
			t.Errorf("ParseToken(%q) = %q, %q, %v", token, id, secret, ok)
		}
	})
}
