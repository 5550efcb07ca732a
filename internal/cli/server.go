package cli

import (
	"cmp"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/rota-dev/rota/internal/remote"
)

// maxToken bounds what is read from a token's file.
const maxToken = 64 << 10

// serverURL is the running Rota to ask; "" for this machine.
func (a *app) serverURL() string { return cmp.Or(a.serverFlag, a.environment["ROTA_SERVER"]) }

// client asks that server.
func (a *app) client() (*remote.Client, error) {
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	o := remote.Options{URL: a.serverURL(), Token: token, UserAgent: "rota/" + Version}
	if path := cmp.Or(a.serverCAFlag, a.environment["ROTA_SERVER_CA"]); path != "" {
		if o.CA, err = os.ReadFile(path); err != nil {
			return nil, refused(err)
		}
	}
	c, err := remote.New(o)
	return c, refused(err)
}

// token is what says who asks. It is never an argument: others of this machine
// can read those.
func (a *app) token() (string, error) {
	path := cmp.Or(a.tokenFileFlag, a.environment["ROTA_TOKEN_FILE"])
	if token := a.environment["ROTA_TOKEN"]; token != "" && a.tokenFileFlag == "" {
		return token, nil
	}
	if path == "" {
		return "", usage("the server wants to know who asks (try: a key's token in ROTA_TOKEN, or --token-file)")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", refused(err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxToken))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", refused(err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", usage("%s holds no token", path)
	}
	return token, nil
}
