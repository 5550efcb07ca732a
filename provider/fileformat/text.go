package fileformat

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/rota-dev/rota"
)

// The names of the values that go into formats with a fixed shape.
const (
	contentName  = "content"
	userName     = rota.FieldUsername
	passwordName = rota.FieldPassword
)

// wholeFile replaces all of a file.
func wholeFile(_ []byte, values map[string]string) ([]byte, error) {
	return []byte(values[contentName]), nil
}

// htpasswdCost is bcrypt's: 2^10 rounds for each login. The htpasswd program does
// 2^5 by default.
const htpasswdCost = 10

// mergeHtpasswd puts a user's line into an htpasswd file, hashed with bcrypt, and
// keeps the others. A line that already fits stays, and with it its salt.
func mergeHtpasswd(existing []byte, user, password string) ([]byte, error) {
	switch {
	case user == "" || strings.ContainsAny(user, ":\r\n\x00"):
		return nil, errors.New("the user's name is empty, or contains a colon or the end of a line, which htpasswd can't hold")
	case password == "":
		return nil, errors.New("the password is empty")
	case len(password) > 72:
		return nil, rota.WithRemedies(fmt.Errorf("the password has %d bytes, and bcrypt reads no more than 72", len(password)), rota.Configure("", "a shorter password"))
	}
	var out bytes.Buffer
	done := false
	for line := range bytes.Lines(existing) {
		text := bytes.TrimRight(line, "\r\n")
		name, hash, found := bytes.Cut(text, []byte(":"))
		if !found || string(name) != user || bytes.HasPrefix(bytes.TrimSpace(text), []byte("#")) {
			out.Write(line)
			continue
		}
		if done {
			continue // a second line for the user
		}
		done = true
		if bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil {
			out.Write(line)
			continue
		}
		if err := writeHtpasswd(&out, user, password, line[len(text):]); err != nil {
			return nil, err
		}
	}
	if done {
		return out.Bytes(), nil
	}
	if out.Len() > 0 && !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
		out.WriteByte('\n')
	}
	err := writeHtpasswd(&out, user, password, []byte("\n"))
	return out.Bytes(), err
}

func writeHtpasswd(out *bytes.Buffer, user, password string, end []byte) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), htpasswdCost)
	if err != nil {
		return errors.New("the password can't be hashed")
	}
	// Apache and nginx call Go's $2a$ by its later name.
	fmt.Fprintf(out, "%s:$2y$%s%s", user, strings.TrimPrefix(string(hash), "$2a$"), end)
	return nil
}

// mergeDockerConfig puts a login for a registry into a Docker config.json, and
// keeps everything else.
func mergeDockerConfig(existing []byte, registry string, values map[string]string) ([]byte, error) {
	user, password := values[userName], values[passwordName]
	if user == "" || password == "" || strings.ContainsAny(user, ":\x00") {
		return nil, errors.New("the user's name or the password is empty, or the name contains a colon, which config.json can't hold")
	}
	members, err := readObject(existing)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		var helpers map[string]string
		switch {
		case m.name == "credsStore" && string(m.value) != `""` && string(m.value) != "null",
			m.name == "credHelpers" && json.Unmarshal(m.value, &helpers) == nil && helpers[registry] != "":
			return nil, rota.WithRemedies(fmt.Errorf("%s has Docker ask a program for the login, and not this file", m.name), rota.Outside("remove "+m.name+" from the file, or use a file of its own (DOCKER_CONFIG)"))
		}
	}
	at := slices.IndexFunc(members, func(m member) bool { return m.name == "auths" })
	if at < 0 {
		members, at = append(members, member{name: "auths"}), len(members)
	}
	auths, err := readObject(members[at].value)
	if err != nil {
		return nil, fmt.Errorf("auths: %w", err)
	}
	login, err := writeObject([]member{{"auth", []byte(`"` + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + `"`)}})
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(auths, func(m member) bool { return m.name == registry }); i >= 0 {
		auths[i].value = login
	} else {
		auths = append(auths, member{registry, login})
	}
	if members[at].value, err = writeObject(auths); err != nil {
		return nil, err
	}
	return writeObject(members)
}
