package fileformat

import (
	"encoding/base64"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestHtpasswdKeepsOtherUsersAndWhatFits(t *testing.T) {
	const others = "# staff\nanna:$apr1$abc$def\r\nberta:{SHA}x\n"
	first, err := mergeHtpasswd([]byte(others+"app:$2y$05$old\napp:second"), "app", "hush-1")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(first), "\n")
	if got := strings.Join(lines[:3], ""); got != others {
		t.Errorf("the others' lines became %q", got)
	}
	if len(lines) != 5 || lines[4] != "" || !strings.HasPrefix(lines[3], "app:$2y$10$") {
		t.Fatalf("the file is %q", first)
	}
	hash := strings.TrimSpace(strings.TrimPrefix(lines[3], "app:"))
	if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte("hush-1")); err != nil {
		t.Error(err)
	}
	again, err := mergeHtpasswd(first, "app", "hush-1")
	if err != nil || string(again) != string(first) {
		t.Errorf("the same again: %v, %q", err, again)
	}
	other, err := mergeHtpasswd(first, "app", "hush-2")
	if err != nil || strings.Contains(string(other), hash) || !strings.HasPrefix(string(other), others) {
		t.Errorf("the next password: %v, %q", err, other)
	}
	added, err := mergeHtpasswd([]byte("anna:x"), "app", "hush-1")
	if err != nil || !strings.HasPrefix(string(added), "anna:x\napp:$2y$") {
		t.Errorf("no newline at the end: %v, %q", err, added)
	}
}

// crypt(3), which Apache and nginx ask, verifies what was written.
func TestHtpasswdIsReadByTheSystem(t *testing.T) {
	content, err := mergeHtpasswd(nil, "app", "pass wörd")
	if err != nil {
		t.Fatal(err)
	}
	_, hash, _ := strings.Cut(strings.TrimSpace(string(content)), ":")
	for password, want := range map[string]string{"pass wörd": "yes", "pass word": "no"} {
		cmd := exec.CommandContext(t.Context(), "perl", "-e", `my $h = <STDIN>; chomp $h; my $p = <STDIN>; chomp $p; print crypt($p, $h) eq $h ? "yes" : "no"`)
		cmd.Stdin = strings.NewReader(hash + "\n" + password + "\n")
		if got, err := cmd.Output(); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", password, got, err, want)
		}
	}
}

func TestLoginsThatTheFormatsCannotHold(t *testing.T) {
	for name, c := range map[string][2]string{
		"a colon": {"a:b", "hush"}, "a newline": {"a\nroot", "hush"}, "no user": {"", "hush"}, "no password": {"a", ""}, "too long": {"a", strings.Repeat("hush", 19)},
	} {
		if _, err := mergeHtpasswd(nil, c[0], c[1]); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("htpasswd: %s: %v", name, err)
		}
	}
	for name, c := range map[string][2]string{"a colon": {"a:b", "hush"}, "no user": {"", "hush"}, "no password": {"a", ""}} {
		if _, err := mergeDockerConfig(nil, "r", map[string]string{userName: c[0], passwordName: c[1]}); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("config.json: %s: %v", name, err)
		}
	}
}

func TestDockerConfigKeepsOtherLogins(t *testing.T) {
	login := map[string]string{userName: "app", passwordName: "hush:1"}
	got, err := mergeDockerConfig([]byte(`{"psFormat":"x","auths":{"b.example":{"auth":"Yg=="},"r.example":{"auth":"b2xk","identitytoken":"old"}},"credHelpers":{"other":"y"}}`), "r.example", login)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		PSFormat string `json:"psFormat"`
		Auths    map[string]map[string]string
	}
	if err := json.Unmarshal(got, &file); err != nil {
		t.Fatal(err)
	}
	auth, _ := base64.StdEncoding.DecodeString(file.Auths["r.example"]["auth"])
	if file.PSFormat != "x" || file.Auths["b.example"]["auth"] != "Yg==" || string(auth) != "app:hush:1" || len(file.Auths["r.example"]) != 1 {
		t.Errorf("the file is %s", got)
	}
	again, err := mergeDockerConfig(got, "r.example", login)
	if err != nil || string(again) != string(got) {
		t.Errorf("the same again: %v, %s", err, again)
	}
	for _, other := range []string{`{"credsStore":"pass"}`, `{"credHelpers":{"r.example":"ecr-login"}}`, `{"auths":[]}`, `[]`} {
		if got, err := mergeDockerConfig([]byte(other), "r.example", login); err == nil {
			t.Errorf("%s: taken, and made into %s", other, got)
		}
	}
	if _, err := mergeDockerConfig([]byte(`{"credsStore":"","credHelpers":{}}`), "r.example", login); err != nil {
		t.Error(err)
	}
}
