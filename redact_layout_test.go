package rota

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf16"
)

// wrap breaks a text after every width bytes.
func wrap(text string, width int, between string) string {
	var out strings.Builder
	for len(text) > width {
		out.WriteString(text[:width] + between)
		text = text[width:]
	}
	return out.String() + text
}

func inUTF16(text string, big bool) string {
	var out strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		low, high := byte(unit), byte(unit>>8)
		if big {
			low, high = high, low
		}
		out.WriteByte(low)
		out.WriteByte(high)
	}
	return out.String()
}

const wrapped = `wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLE=KEY&"é'<x>`

// leftOf fails the test if a part of the value is left in what Sanitize makes of
// the text, in plain or in the encoding, and if what surrounds it is gone.
func leftOf(t *testing.T, text string, parts ...string) {
	t.Helper()
	c := NewCredential(map[string]string{FieldPassword: wrapped})
	got := Sanitize(fmt.Errorf("reload: exit status 1: before\n%s\nthe end: %w", text, ErrRefused), c).Error()
	if !strings.Contains(got, redacted) || !strings.HasPrefix(got, "reload: exit status 1: before\n") || !strings.HasSuffix(got, "\nthe end: "+ErrRefused.Error()) {
		t.Fatalf("got %q", got)
	}
	const piece = 5
	for _, part := range append(parts, wrapped) {
		for i := 0; i+piece <= len(part); i++ {
			if strings.Contains(got, part[i:i+piece]) {
				t.Fatalf("%q is left of %q in %q", part[i:i+piece], part, got)
			}
		}
	}
}

func TestSanitizeCutsWhatAProgramWrapped(t *testing.T) {
	pad := strings.Repeat("config line\n", 7)
	for name, whole := range map[string]string{
		"plain": wrapped, "hex": hex.EncodeToString([]byte(wrapped)), "base64": base64.StdEncoding.EncodeToString([]byte(wrapped)),
		"base32": base32.StdEncoding.EncodeToString([]byte(wrapped)),
	} {
		for between, width := range map[string]int{"\n": 7, "\r\n": 20, "\n  ": 16, "\n> ": 10, "\n\t| ": 9, " \n": 12} {
			t.Run(fmt.Sprintf("%s by %d with %q", name, width, between), func(t *testing.T) {
				leftOf(t, wrap(whole, width, between), whole)
			})
		}
	}
	for _, width := range []int{60, 64, 76} {
		t.Run(fmt.Sprintf("a file in base64 by %d", width), func(t *testing.T) {
			leftOf(t, wrap(base64.StdEncoding.EncodeToString([]byte(pad+wrapped+pad)), width, "\n"))
		})
	}
	t.Run("base64 wrapped in JSON", func(t *testing.T) {
		encoded := base64.StdEncoding.EncodeToString([]byte(wrapped))
		leftOf(t, `{"data": "`+wrap(encoded, 20, `\n`)+`"}`, encoded)
	})
}

func TestSanitizeCutsUTF16(t *testing.T) {
	for _, big := range []bool{false, true} {
		text := inUTF16(wrapped, big)
		for name, whole := range map[string]string{
			"as it is": text, "made valid": strings.ToValidUTF8("\xff\xfe\n\x00"+text, "�"), "in base64": base64.StdEncoding.EncodeToString([]byte(text)),
			"in base64 with a mark": base64.StdEncoding.EncodeToString([]byte("\xff\xfe" + text)), "in hex": hex.EncodeToString([]byte(text)), "quoted": fmt.Sprintf("%q", text),
		} {
			t.Run(fmt.Sprintf("%s, big-endian %t", name, big), func(t *testing.T) { leftOf(t, whole) })
		}
	}
}

func TestSanitizeCutsListsOfBytes(t *testing.T) {
	var source, lines []string
	for _, b := range []byte(wrapped) {
		source = append(source, fmt.Sprintf("0x%02x", b))
		lines = append(lines, fmt.Sprintf("  %d", b))
	}
	for name, text := range map[string]string{
		"Go": fmt.Sprintf("%d", []byte(wrapped)), "Go source": fmt.Sprintf("%#v", []byte(wrapped)), "C": strings.Join(source, ", "),
		"JSON": `{"data": [` + strings.Join(lines, ",\n") + "]}",
	} {
		t.Run(name, func(t *testing.T) { leftOf(t, text, strings.Join(source, ", ")) })
	}
}

// The programs that people look into files with.
func TestSanitizeCutsDumps(t *testing.T) {
	for _, command := range []string{
		"hexdump -C", "hexdump -Cv", "hexdump", "hexdump -x", "xxd", "xxd -u", "xxd -g 1", "xxd -g 4", "xxd -e", "xxd -e -g 2", "xxd -c 8", "xxd -c 24 -g 3", "xxd -g 0", "xxd -p", "xxd -i",
		"od -x", "od -t x1", "od -t x1z", "od -t x4", "od -A x -t x1z", "od -A d -t x8", "od -A n -t x1",
		"base64", "base64 -w 64", "base64 -w 10", "base32", "base32 -w 16", "fold -w 12", "iconv -t UTF-16", "iconv -t UTF-16BE",
	} {
		for _, before := range []string{"", "TOKEN="} {
			t.Run(command+" after "+before, func(t *testing.T) {
				name, arguments, _ := strings.Cut(command, " ")
				path, err := exec.LookPath(name)
				if err != nil {
					t.Skip("no " + name)
				}
				cmd := exec.CommandContext(t.Context(), path, strings.Fields(arguments)...)
				cmd.Stdin = strings.NewReader(before + wrapped + "\n")
				out, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				text := strings.ToValidUTF8(strings.TrimSuffix(string(out), "\n"), "�")
				leftOf(t, text)
				for _, line := range strings.Split(text, "\n")[1:] {
					if got := Sanitize(errors.New("exit status 1: "+text), NewCredential(map[string]string{FieldPassword: wrapped})).Error(); len(line) > 8 && strings.Contains(got, line) {
						t.Errorf("line %q is left in %q", line, got)
					}
				}
			})
		}
	}
}

func TestSanitizeLeavesLayoutThatShowsNoValue(t *testing.T) {
	c := NewCredential(map[string]string{FieldPassword: wrapped})
	for _, text := range []string{
		"one\n  two\n> three\n| four", "00000000  68 75 6e 74 65 72  |hunter|", "0000000 7568 746e", "[104 117 110 116 101 114]", "MFRGGZDFMZTWQ2LK\nMFRGGZDF", "h\x00u\x00n\x00",
	} {
		if got := Sanitize(errors.New(text), c).Error(); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestADumpLosesOnlyTheLinesThatShowTheValue(t *testing.T) {
	c := NewCredential(map[string]string{FieldPassword: "hunter-22 is long"})
	text := `reload: exit status 1: 00000000  55 53 45 52 3d 61 70 70  0a 50 41 53 53 3d 31 32  |USER=app.PASS=12|
00000010  33 0a 0a 0a 0a 54 4f 4b  45 4e 3d 68 75 6e 74 65  |3....TOKEN=hunte|
00000020  72 2d 32 32 20 69 73 20  6c 6f 6e 67 0a           |r-22 is long.|: and more
00000030`
	want := `reload: exit status 1: 00000000  55 53 45 52 3d 61 70 70  0a 50 41 53 53 3d 31 32  |USER=app.PASS=12|
[redacted]: and more
00000030`
	if got := Sanitize(errors.New(text), c).Error(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func BenchmarkSanitize(b *testing.B) {
	c := NewCredential(map[string]string{FieldUsername: "app", FieldPassword: wrapped, "host": "db.example.com"})
	log := strings.Repeat(`2026-11-30T02:45:57Z INFO deployment.apps/api "restarted" path=/usr/local/bin/reload id=5f2c7a90-1b1e-4c55 took=1.2s`+"\n", 200)
	for name, text := range map[string]string{
		"a line":             `prod/db: postgres main: set: ALTER ROLE "app": permission denied (SQLSTATE 42501)`,
		"16 KiB of a log":    log[:16<<10],
		"16 KiB of base64":   wrap(base64.StdEncoding.EncodeToString([]byte(log)), 76, "\n")[:16<<10],
		"16 KiB of capitals": strings.Repeat("ERROR FAILEDTOCONNECT TODATABASE\n", 600)[:16<<10],
	} {
		b.Run(name, func(b *testing.B) {
			err := errors.New(text)
			for b.Loop() {
				if got := Sanitize(err, c); got != err {
					b.Fatal(got)
				}
			}
		})
	}
}
