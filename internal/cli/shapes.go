package cli

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/simulate"
)

// The documents that --output json prints, one per command, except for those
// in package service. Names are snake_case and never change; fields may be
// added. Times are RFC 3339. Empty fields are left out.

// errorDoc is printed on stderr if a command fails as a whole.
type errorDoc struct {
	Error    string        `json:"error"`
	Hint     string        `json:"hint,omitempty"`
	Remedies []rota.Remedy `json:"remedies,omitempty"`
	Code     int           `json:"code"`               // the exit code
	Problems []problemDoc  `json:"problems,omitempty"` // what's wrong with rota.yaml
}

// problemDoc is one error or warning about rota.yaml.
type problemDoc struct {
	File     string        `json:"file"`
	Line     int           `json:"line"`
	Column   int           `json:"column"`
	Message  string        `json:"message"`
	Hint     string        `json:"hint,omitempty"`
	Remedies []rota.Remedy `json:"remedies,omitempty"`
}

func problemDocs(problems []config.Problem) []problemDoc {
	out := []problemDoc{}
	for _, p := range problems {
		out = append(out, problemDoc{File: p.File, Line: p.Line, Column: p.Column, Message: p.Text(), Hint: hint.Of(p.Remedies), Remedies: p.Remedies})
	}
	return out
}

// pathDoc is what init, backup, restore and man did.
type pathDoc struct {
	Path   string `json:"path"`
	Schema string `json:"schema,omitempty"` // for init: where the file's JSON Schema is
}

// validateDoc is what validate found.
type validateDoc struct {
	Path        string       `json:"path"`
	Secrets     int          `json:"secrets"`
	Connections int          `json:"connections"`
	Warnings    []problemDoc `json:"warnings"`
}

// versionsDoc has the versions of several secrets.
type versionsDoc struct {
	Secrets []api.VersionsDoc  `json:"secrets"`
	Errors  []api.AlertFailure `json:"errors"` // those whose versions couldn't be read
}

// keyDoc is what key rotate did.
type keyDoc struct {
	DataKeys int    `json:"data_keys"`         // re-encrypted
	OldKey   string `json:"old_key,omitempty"` // the file that earlier backups need
}

// acknowledgeDoc is what audit acknowledge covers, and what was acknowledged
// before.
type acknowledgeDoc struct {
	Breaks []api.BreakDoc `json:"breaks"`
}

// buildDoc is what version shows.
type buildDoc struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`     // the commit's
	Modified bool   `json:"modified,omitempty"` // the checkout wasn't what was committed
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// simulateDoc is what simulate found.
type simulateDoc struct {
	simulate.Result
	FirstSeed  uint64         `json:"first_seed"`
	Violations []violationDoc `json:"violations"`
}

type violationDoc struct {
	Seed   uint64    `json:"seed"`
	Rule   int       `json:"rule"`
	Secret string    `json:"secret"`
	At     time.Time `json:"at"` // in virtual time
	What   string    `json:"what"`
	Trace  []string  `json:"trace"`
	Replay string    `json:"replay"` // the command that reproduces it
}
