package fileformat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestMergeKeepsWhatElseIsInTheFile(t *testing.T) {
	aws := func(existing []byte, values map[string]string) ([]byte, error) {
		return mergeAWS(existing, "app", values)
	}
	pair := map[string]string{"KEY": "new", "OTHER": "two words"}
	keys := map[string]string{"aws_access_key_id": "AKIANEW", "aws_secret_access_key": "new/secret+="}
	for _, c := range []struct {
		name           string
		format         format
		values         map[string]string
		existing, want string
	}{
		{"JSON: a new file", mergeJSON, pair, "", "{\n  \"KEY\": \"new\",\n  \"OTHER\": \"two words\"\n}\n"},
		{"JSON: order, numbers, nesting", mergeJSON, pair, `{"z":12345678901234567890.10,"KEY":"old","a":{"x":[1,null]},"h":"<&>"}`,
			"{\n  \"z\": 12345678901234567890.10,\n  \"KEY\": \"new\",\n  \"a\": {\n    \"x\": [\n      1,\n      null\n    ]\n  },\n  \"h\": \"<&>\",\n  \"OTHER\": \"two words\"\n}\n"},
		{"JSON: a value that is no string is replaced", mergeJSON, map[string]string{"KEY": "new"}, `{"KEY":{"a":1}}`, "{\n  \"KEY\": \"new\"\n}\n"},
		{"dotenv: a new file", mergeDotenv, pair, "", "KEY=new\nOTHER='two words'\n"},
		{"dotenv: comments, blank lines, export and order", mergeDotenv, pair,
			"# top\n\nexport KEY=\"old value\" # why\nX=1 2 3\n\nY='multi\nKEY=line' # z\nexport KEY X\n",
			"# top\n\nexport KEY=new # why\nX=1 2 3\n\nY='multi\nKEY=line' # z\nexport KEY X\nOTHER='two words'\n"},
		{"dotenv: no newline at the end", mergeDotenv, pair, "A=b", "A=b\nKEY=new\nOTHER='two words'\n"},
		{"dotenv: a second one would win", mergeDotenv, pair, "KEY=1\nA=b\nKEY=2 # gone\nOTHER=x y\n", "KEY=new\nA=b\nOTHER='two words'\n"},
		{"dotenv: lines that end in CR LF", mergeDotenv, pair, "A=b\r\nKEY=old\r\n", "A=b\r\nKEY=new\r\nOTHER='two words'\r\n"},
		{"AWS: a new file", aws, keys, "", "[app]\naws_access_key_id = AKIANEW\naws_secret_access_key = new/secret+=\n"},
		{"AWS: other profiles and settings", aws, keys,
			"# mine\n[default]\naws_access_key_id = AKIADEFAULT\n\n[app] # prod\nregion = eu-central-1\nAWS_ACCESS_KEY_ID=AKIAOLD # key\naws_session_token = stale\ns3 =\n  max = 2\n\n[z]\naws_secret_access_key=z\n",
			"# mine\n[default]\naws_access_key_id = AKIADEFAULT\n\n[app] # prod\nregion = eu-central-1\naws_access_key_id = AKIANEW # key\ns3 =\n  max = 2\naws_secret_access_key = new/secret+=\n\n[z]\naws_secret_access_key=z\n"},
		{"AWS: an indented profile", aws, keys,
			"[app]\n  # ours\n  aws_access_key_id = AKIAOLD\n  aws_session_token = stale\n  region = x\n\n[z]\n",
			"[app]\n  # ours\n  aws_access_key_id = AKIANEW\n  region = x\n  aws_secret_access_key = new/secret+=\n\n[z]\n"},
		{"AWS: colons", aws, keys,
			"[app]\naws_access_key_id: AKIAOLD\naws_session_token: stale==\naws_secret_access_key: old=\n",
			"[app]\naws_access_key_id = AKIANEW\naws_secret_access_key = new/secret+=\n"},
		{"AWS: a new profile", aws, keys, "[default]\nregion=x", "[default]\nregion=x\n\n[app]\naws_access_key_id = AKIANEW\naws_secret_access_key = new/secret+=\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.format([]byte(c.existing), c.values)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			again, err := c.format(got, c.values)
			if err != nil || !bytes.Equal(got, again) {
				t.Errorf("merged again it is otherwise (%v):\n%s", err, cmp.Diff(string(got), string(again)))
			}
		})
	}
}

func TestMergeRefusesWhatItCannotRead(t *testing.T) {
	aws := func(existing []byte, values map[string]string) ([]byte, error) {
		return mergeAWS(existing, "app", values)
	}
	one := map[string]string{"KEY": "new"}
	for _, c := range []struct {
		name           string
		format         format
		values         map[string]string
		existing, want string
	}{
		{"JSON: cut off", mergeJSON, one, "{\n\"a\": \"hush", "line 2: not valid JSON"},
		{"JSON: a list", mergeJSON, one, `["hush"]`, "not a JSON object"},
		{"JSON: a key twice", mergeJSON, one, `{"a":"hush","a":2}`, `the key "a" appears twice`},
		{"JSON: bytes that are no text", mergeJSON, one, "{\"a\":\"hush\xff\"}", "not valid JSON"},
		{"JSON: a value that is no text", mergeJSON, map[string]string{"KEY": "hush\xff"}, "", "not UTF-8"},
		{"dotenv: a script", mergeDotenv, one, "A=1\nif true; then hush; fi\n", "line 2: not KEY=value"},
		{"dotenv: an open quote", mergeDotenv, one, "A=1\n\nB='hush\n", "line 3: a ' without its end"},
		{"dotenv: an open double quote", mergeDotenv, one, "B=\"hush\\\"\n", "line 1: a \" without its end"},
		{"dotenv: a quote that ends in two ways", mergeDotenv, one, `KEY='hu\'sh'` + "\n", "read differently"},
		{"dotenv: a line that goes on", mergeDotenv, one, "A=hush\\\nKEY=x\n", "at the end of the line"},
		{"dotenv: a file that would go on", mergeDotenv, one, "A=hush\\", "at the end of the line"},
		{"dotenv: a CR alone", mergeDotenv, one, "A=1\r\n\rhush", "line 2: a CR that isn't part of a line ending"},
		{"dotenv: words and quotes", mergeDotenv, one, "KEY=a b'hush'\n", "more than one word"},
		{"dotenv: a key that is no name", mergeDotenv, map[string]string{"a-b": "hush"}, "", `"a-b" can't be a variable's name`},
		{"dotenv: a value that no form holds", mergeDotenv, map[string]string{"KEY": "hush'$"}, "", "read differently"},
		{"dotenv: a value with CR", mergeDotenv, map[string]string{"KEY": "hush\r\n"}, "", "NUL, CR"},
		{"AWS: a setting before any profile", aws, one, "hush = 1\n", "line 1: a setting before"},
		{"AWS: no setting", aws, one, "[app]\nhush\n", "line 2: not name = value"},
		{"AWS: no setting, indented", aws, one, "[app]\n  hush\n", "line 2: not name = value"},
		{"AWS: ever further in", aws, one, "[app]\na = 1\n  b = hush\n", "line 3: indented further"},
		{"AWS: nested in an indented profile", aws, one, "[app]\n  s3 =\n    max = 2\n  k = hush\n", "line 2: an indented setting without a value"},
		{"AWS: an open header", aws, one, "[app\nhush=1\n", "line 1: not a [profile]"},
		{"AWS: a profile twice", aws, one, "[app]\na=hush\n[app]\n", "line 3: the profile app appears twice"},
		{"AWS: a value with a newline", aws, map[string]string{"k": "hush\n[default]"}, "", "can't hold"},
		{"AWS: a value that is a comment", aws, map[string]string{"k": "#hush"}, "", "can't hold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.format([]byte(c.existing), c.values)
			if err == nil {
				t.Fatalf("taken, and made into %q", got)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q in it", err, c.want)
			}
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("the error shows the file's content or the value: %v", err)
			}
		})
	}
}

// hard are values that quoting gets wrong easily.
var hard = []string{"plain", "", " ", "two words", "a#b", "a #b", "#", `"`, `'`, `\`, `\\`, `\n`, `a"b'c`, `it's`, "$HOME", "${HOME}x", "`id`",
	"$(id)", "line\nbreak", "\nboth\n", "tab\there", "ünïcode ✓", "a=b", "!!", "*", "~", "-n", `"quoted"`, `'quoted'`, `ends\`, "&;|<>()",
	`back\slash'and"both`, "%s", "\x1b[0m"}

func TestDotenvReadsBackExactlyInAShell(t *testing.T) {
	for _, shell := range []string{"sh", "bash", "dash"} {
		program, err := exec.LookPath(shell)
		if err != nil {
			continue // sh is everywhere
		}
		t.Run(shell, func(t *testing.T) {
			values := map[string]string{}
			for n, v := range hard {
				values[fmt.Sprintf("KEY_%d", n)] = v
			}
			content, err := mergeDotenv(nil, values)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "env")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), program, "-c", `set -a; . "$0"; exec env -0`, path).Output()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for line := range strings.SplitSeq(string(out), "\x00") {
				if key, value, _ := strings.Cut(line, "="); strings.HasPrefix(key, "KEY_") {
					got[key] = value
				}
			}
			if diff := cmp.Diff(values, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// These are python-dotenv's own patterns; the JavaScript, Ruby and Go
// libraries read these forms the same way.
var (
	pySingle  = regexp.MustCompile(`^'((?:\\'|[^'])*)'`)
	pyDouble  = regexp.MustCompile(`^"((?:\\"|[^"])*)"`)
	pyEscape1 = regexp.MustCompile(`\\[\\']`)
	pyEscape2 = regexp.MustCompile(`\\[\\'"abfnrtv]`)
)

func pythonValue(line string) string {
	if m := pySingle.FindStringSubmatch(line); m != nil {
		return pyEscape1.ReplaceAllStringFunc(m[1], func(s string) string { return s[1:] })
	}
	if m := pyDouble.FindStringSubmatch(line); m != nil {
		return pyEscape2.ReplaceAllStringFunc(m[1], func(s string) string {
			if strings.ContainsAny(s[1:], `\'"`) {
				return s[1:]
			}
			return "control"
		})
	}
	return strings.TrimSpace(regexp.MustCompile(`\s+#.*`).ReplaceAllString(strings.SplitN(line, "\n", 2)[0], ""))
}

func TestDotenvReadsBackExactlyInLibraries(t *testing.T) {
	check := func(t interface{ Errorf(string, ...any) }, value string) {
		quoted, err := quoteDotenv(value)
		if err != nil {
			return
		}
		if got := pythonValue(quoted + "\n"); got != value {
			t.Errorf("%q, written %s, reads %q", value, quoted, got)
		}
		found, err := readDotenv("KEY=" + quoted + "\nNEXT=1\n")
		if err != nil || len(found) != 2 {
			t.Errorf("%q, written %s, is not found again: %v %v", value, quoted, found, err)
		}
	}
	for _, value := range hard {
		check(t, value)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z'"\\$# \n]{0,12}`)).Draw(t, "value"))
	})
}

func TestJSONReadsBackExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.MapOf(rapid.StringN(1, 9, -1), rapid.String()).Draw(t, "values")
		others := rapid.MapOf(rapid.String(), rapid.Int()).Draw(t, "others")
		existing, _ := json.Marshal(others)
		merged, err := mergeJSON(existing, values)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(merged, &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{}
		for k, v := range others {
			want[k] = float64(v)
		}
		for k, v := range values {
			want[k] = v
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAWSCredentialsAreReadByTheSDK(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	existing := "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = d\n\n[app]\naws_access_key_id = AKIAOLD ; old\naws_secret_access_key = old\naws_session_token = stale\n"
	values := map[string]string{"aws_access_key_id": "AKIANEW", "aws_secret_access_key": "ab/cd+ef=="}
	for _, profile := range []string{"app", "default", "new one"} {
		content, err := mergeAWS([]byte(existing), profile, values)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		load := func(profile string) config.SharedConfig {
			c, err := config.LoadSharedConfigProfile(t.Context(), profile, func(o *config.LoadSharedConfigOptions) {
				o.CredentialsFiles, o.ConfigFiles = []string{path}, []string{filepath.Join(dir, "none")}
			})
			if err != nil {
				t.Fatalf("profile %s: %v", profile, err)
			}
			return c
		}
		if c := load(profile).Credentials; c.AccessKeyID != "AKIANEW" || c.SecretAccessKey != "ab/cd+ef==" || c.SessionToken != "" {
			t.Errorf("the SDK reads another key in profile %s: %s, session token %q", profile, c.AccessKeyID, c.SessionToken)
		}
		for other, want := range map[string]string{"app": "AKIAOLD", "default": "AKIADEFAULT"} {
			if other != profile && load(other).Credentials.AccessKeyID != want {
				t.Errorf("profile %s changed with %s", other, profile)
			}
		}
	}
}

// FuzzMerge feeds any content to every format: it never panics, and what it
// takes it keeps taking, unchanged by a second merge.
func FuzzMerge(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"a":1}`, "A=b\n", "export A='x\ny' # z\r\n", "[app]\nk = v\n  sub = 1\n[b]\n", "A=\"\\\"", "[x", "A='\\'", "=\n"} {
		f.Add(seed, "value")
	}
	f.Fuzz(func(t *testing.T, existing, value string) {
		for name, merge := range map[string]format{"json": mergeJSON, "dotenv": mergeDotenv,
			"aws": func(b []byte, v map[string]string) ([]byte, error) { return mergeAWS(b, "app", v) }} {
			values := map[string]string{"A": value}
			once, err := merge([]byte(existing), values)
			if err != nil {
				continue
			}
			twice, err := merge(once, values)
			if err != nil {
				t.Fatalf("%s: its own output is refused: %v\n%q", name, err, once)
			}
			if !bytes.Equal(once, twice) {
				t.Fatalf("%s: a second merge changes it\n%q\n%q", name, once, twice)
			}
		}
	})
}
