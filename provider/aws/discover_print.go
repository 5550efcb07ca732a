package aws

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// table returns the keys as a table for people.
func (doc discoverDoc) table() (header []string, rows [][]provider.Words, summary []provider.Words) {
	users := map[[2]string]bool{}
	for _, k := range doc.Keys {
		users[[2]string{k.Account, k.User}] = true
		var row []provider.Words
		for _, text := range []string{k.Account, k.User, k.KeyID, k.status(), fmt.Sprintf("%dd", k.AgeDays), k.lastUse(doc.At), strings.Join(k.holders(), ", "), k.Managed} {
			row = append(row, provider.Words{Text: text})
		}
		rows = append(rows, append(row, provider.Words{Text: k.overdue(), Mark: provider.MarkAlarm}))
	}
	summary = []provider.Words{{Mark: provider.MarkStrong, Text: fmt.Sprintf("%s of %s, %d overdue (active and older than %s)", plural(len(doc.Keys), "key"), plural(len(users), "user"), doc.Overdue, doc.MaxAge)}}
	for _, x := range doc.Accounts {
		if x.Error != "" {
			continue
		}
		summary = append(summary, provider.Words{Text: x.summary()})
		if x.RootKeys != nil && *x.RootKeys {
			summary = append(summary, provider.Words{Mark: provider.MarkAlarm, Text: "account " + x.Account + ": the root user has an access key, which no program should use", Remedies: rota.Outside("delete it")})
		}
	}
	return []string{"ACCOUNT", "USER", "KEY", "STATUS", "AGE", "LAST USED", "HELD BY", "MANAGED", "OVERDUE"}, rows, summary
}

// summary describes an account apart from its keys.
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

// lastUse returns text such as "3d ago, s3 in eu-central-1".
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

// holders returns the secrets that hold the key, with the region if there are
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

// csv returns the keys for spreadsheets.
func (doc discoverDoc) csv() [][]string {
	rows := [][]string{{"account", "connection", "user", "key_id", "status", "created", "age_days", "last_used", "last_used_service", "last_used_region", "held_by", "managed", "overdue"}}
	for _, k := range doc.Keys {
		used := ""
		switch {
		case !k.UseKnown:
			used = "not known"
		case !k.LastUsed.IsZero():
			used = k.LastUsed.Format(time.RFC3339)
		}
		rows = append(rows, []string{
			k.Account, k.Connection, k.User, k.KeyID, k.status(), k.Created.Format(time.RFC3339), strconv.Itoa(k.AgeDays), used, k.Service, k.Region,
			strings.Join(k.holders(), ", "), k.Managed, strconv.FormatBool(k.Overdue),
		})
	}
	return rows
}

// plural returns a count of things, such as "1 key" or "3 keys".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// rounded rounds a duration to the unit shown, so that an hour less than 30
// days doesn't read as 29.
func rounded(d time.Duration) time.Duration {
	switch {
	case d.Round(time.Minute) < rota.Day:
		return d.Round(time.Minute)
	case d.Round(time.Hour) < 2*rota.Day:
		return d.Round(time.Hour)
	default:
		return d.Round(rota.Day)
	}
}
