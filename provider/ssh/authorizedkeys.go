package ssh

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// offPrefix turns a key's line into a comment, which Rota can turn back.
const offPrefix = "#rota-off# "

// keyLine is one line of an authorized_keys file. What isn't a key is kept as it is.
type keyLine struct {
	raw     string // with its end
	key     ssh.PublicKey
	options string
	comment string
	off     bool
}

// readKeys splits a file into its lines.
func readKeys(content []byte) []keyLine {
	var lines []keyLine
	for raw := range bytes.Lines(content) {
		l := keyLine{raw: string(raw)}
		text := strings.TrimSpace(l.raw)
		text, l.off = strings.CutPrefix(text, offPrefix)
		if text != "" && !strings.HasPrefix(text, "#") {
			if key, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(text)); err == nil {
				l.key, l.comment, l.options = key, comment, strings.Join(options, ",")
			}
		}
		lines = append(lines, l)
	}
	return lines
}

func writeKeys(lines []keyLine) []byte {
	content := []byte{}
	for _, l := range lines {
		content = append(content, l.raw...)
	}
	return content
}

// id is the key's fingerprint, "" for a line without a key.
func (l keyLine) id() string {
	if l.key == nil {
		return ""
	}
	return ssh.FingerprintSHA256(l.key)
}

// marker is how Rota's own lines begin their comment.
func marker(name string) string { return "rota:" + name }

func (l keyLine) marked(name string) bool {
	first, _, _ := strings.Cut(l.comment, " ")
	return l.key != nil && first == marker(name)
}

// newKey is a key to let in.
type newKey struct {
	public   ssh.PublicKey
	name     string  // of the keys that it's one of
	replaces string  // the id of the key before it, "" if there's none
	options  *string // nil for those of the key before it
}

// allow adds a key's line, or turns it on again. The new line comes after the one
// that it replaces, and takes its options.
func allow(lines []keyLine, k newKey) []keyLine {
	id := ssh.FingerprintSHA256(k.public)
	if slices.ContainsFunc(lines, func(l keyLine) bool { return l.id() == id && !l.off }) {
		return lines
	}
	if slices.ContainsFunc(lines, func(l keyLine) bool { return l.id() == id }) {
		return turn(lines, id, false)
	}
	at, options := len(lines), ""
	before := slices.IndexFunc(lines, func(l keyLine) bool { return k.replaces != "" && l.id() == k.replaces })
	for i := len(lines) - 1; before < 0 && i >= 0; i-- {
		if lines[i].marked(k.name) {
			before = i
		}
	}
	if before >= 0 {
		at, options = before+1, lines[before].options
	}
	if k.options != nil {
		options = *k.options
	}
	text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.public))) + " " + marker(k.name) + "\n"
	if options != "" {
		text = options + " " + text
	}
	lines = slices.Clone(lines)
	if at > 0 && !strings.HasSuffix(lines[at-1].raw, "\n") {
		lines[at-1].raw += "\n"
	}
	return slices.Insert(lines, at, keyLine{raw: text, key: k.public, options: options, comment: marker(k.name)})
}

// turn turns all lines of a key off, or on again.
func turn(lines []keyLine, id string, off bool) []keyLine {
	lines = slices.Clone(lines)
	for i, l := range lines {
		switch {
		case l.id() != id || l.off == off:
		case off:
			lines[i].raw, lines[i].off = offPrefix+l.raw, true
		default:
			lines[i].raw, lines[i].off = strings.Replace(l.raw, offPrefix, "", 1), false
		}
	}
	return lines
}

// remove removes all lines of a key.
func remove(lines []keyLine, id string) []keyLine {
	return slices.DeleteFunc(slices.Clone(lines), func(l keyLine) bool { return l.id() == id })
}

// has reports whether a file has a key, and whether that lets anybody in.
func has(lines []keyLine, id string) (exists, active bool) {
	for _, l := range lines {
		if l.id() == id {
			exists, active = true, active || !l.off
		}
	}
	return exists, active
}

// find is the key with this id; nil if the file doesn't have it.
func find(lines []keyLine, id string) ssh.PublicKey {
	for _, l := range lines {
		if l.id() == id {
			return l.key
		}
	}
	return nil
}
