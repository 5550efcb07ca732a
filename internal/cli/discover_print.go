package cli

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
)

// printDiscovered prints the keys, with the accounts' summaries on stderr if
// stdout is for programs.
func (a *app) printDiscovered(doc discoverDoc, o discoverOptions) error {
	if o.output != "table" {
		for _, x := range doc.Accounts {
			a.tellProblems(x)
		}
	}
	switch o.output {
	case "json":
		return a.document(doc)
	case "csv":
		return a.discoverCSV(doc)
	}
	a.discoverTable(doc)
	return nil
}

func (a *app) discoverTable(doc discoverDoc) {
	var rows [][]cell
	users := map[[2]string]bool{}
	for _, k := range doc.Keys {
		users[[2]string{k.Account, k.User}] = true
		row := cells(k.Account, k.User, k.KeyID, k.status(), fmt.Sprintf("%dd", k.AgeDays), k.lastUse(doc.At), strings.Join(k.holders(), ", "), k.Managed, k.overdue())
		row[8].color = red
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		a.table([]string{"ACCOUNT", "USER", "KEY", "STATUS", "AGE", "LAST USED", "HELD BY", "MANAGED", "OVERDUE"}, rows)
		a.printf("")
	}
	a.printf("%s", a.paint(a.outStyle, bold, fmt.Sprintf("%s of %s, %d overdue (active and older than %s)", plural(len(doc.Keys), "key"), plural(len(users), "user"), doc.Overdue, doc.MaxAge)))
	for _, x := range doc.Accounts {
		if x.Error == "" {
			a.printf("%s", x.summary())
			if x.RootKeys != nil && *x.RootKeys {
				a.printf("%s", a.paint(a.outStyle, red, hint.Add("account "+x.Account+": the root user has an access key, which no program should use", rota.Outside("delete it"))))
			}
		}
		a.tellProblems(x)
	}
}

// tellProblems prints on stderr what couldn't be determined.
func (a *app) tellProblems(x discoveredAccount) {
	if x.Error != "" {
		a.note("rota: connection %s: %s", strings.Join(x.Connections, ", "), hint.Add(x.Error, x.Remedies))
	}
	for _, p := range x.Problems {
		a.note("rota: account %s: %s", x.Account, p)
	}
}

// summary is what there is to say about an account besides its keys.
func (x discoveredAccount) summary() string {
	text := fmt.Sprintf("account %s: %s", x.Account, plural(x.Users, "user"))
	if x.WithoutKeys > 0 {
		text += fmt.Sprintf(", %d of them without access keys", x.WithoutKeys)
		if x.ConsoleOnly != nil && *x.ConsoleOnly > 0 {
			text += fmt.Sprintf(" (%d with a console password)", *x.ConsoleOnly)
		}
	}
	if x.RootKeys == nil {
		text += "; it's unknown whether the root user has access keys"
	}
	if !x.ReportAt.IsZero() {
		text += "; last use as of " + x.ReportAt.Format(time.RFC3339)
	}
	return text
}

func (k discoveredKey) status() string {
	if k.Active {
		return "active"
	}
	return "inactive"
}

func (k discoveredKey) overdue() string {
	if k.Overdue {
		return "overdue"
	}
	return ""
}

// lastUse is "3d ago, s3 in eu-central-1".
func (k discoveredKey) lastUse(now time.Time) string {
	switch {
	case !k.UseKnown:
		return "not known"
	case k.LastUsed.IsZero():
		return "never"
	}
	text := rota.FormatDuration(rounded(max(now.Sub(k.LastUsed), 0))) + " ago"
	if k.Service != "" {
		text += ", " + k.Service
	}
	if k.Region != "" {
		text += " in " + k.Region
	}
	return text
}

// holders are the secrets that hold the key, with the region where there are
// several.
func (k discoveredKey) holders() []string {
	var names []string
	for _, h := range k.HeldBy {
		name := h.Secret
		if len(k.HeldBy) > 1 {
			name += " (" + h.Region + ")"
		}
		names = append(names, name)
	}
	return names
}

func (a *app) discoverCSV(doc discoverDoc) error {
	w := csv.NewWriter(a.Stdout)
	rows := [][]string{{"account", "connection", "user", "key_id", "status", "created", "age_days", "last_used", "last_used_service", "last_used_region", "held_by", "managed", "overdue"}}
	for _, k := range doc.Keys {
		used := ""
		switch {
		case !k.UseKnown:
			used = "not known"
		case !k.LastUsed.IsZero():
			used = k.LastUsed.Format(time.RFC3339)
		}
		row := []string{
			k.Account, k.Connection, k.User, k.KeyID, k.status(), k.Created.Format(time.RFC3339), strconv.Itoa(k.AgeDays), used, k.Service, k.Region,
			strings.Join(k.holders(), ", "), k.Managed, strconv.FormatBool(k.Overdue),
		}
		for i := range row {
			row[i] = harmless(row[i])
		}
		rows = append(rows, row)
	}
	return w.WriteAll(rows)
}

// harmless keeps spreadsheets from treating text as a formula: a user may be
// called =cmd.
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
