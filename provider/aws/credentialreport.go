package aws

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/rota-dev/rota"
)

const (
	// reportPause is how long to wait before asking IAM again whether the report
	// is ready.
	reportPause = 2 * time.Second
	// reportTries is how many times to ask.
	reportTries = 30
	// rootUser is what the report calls the account's root.
	rootUser = "<root_account>"
)

// credentialReport is IAM's list of all users. IAM generates it at most once every
// four hours. It doesn't contain key ids.
type credentialReport struct {
	made  time.Time
	users map[string]reportRow
}

// reportRow is one user of the report.
type reportRow struct {
	password bool
	slots    [maxKeys]reportKey
}

// reportKey is one key of a user.
type reportKey struct {
	active  bool
	changed time.Time // created, activated or deactivated; zero if there is no key
	use     keyUse
}

// keyUse is the last use of a key; zero for none.
type keyUse struct {
	at              time.Time
	service, region string
}

// hasKeys reports whether the user had a key when the report was generated.
func (r reportRow) hasKeys() bool {
	for _, k := range r.slots {
		if k.active || !k.changed.IsZero() {
			return true
		}
	}
	return false
}

// useOf finds a key's use by its date and state, if only one key matches both.
func (r reportRow) useOf(key rota.Issued, all []rota.Issued) (use keyUse, ok bool) {
	fits := func(slot reportKey, k rota.Issued) bool {
		return slot.active == k.Active && slot.changed.Equal(k.CreatedAt.Truncate(time.Second))
	}
	for _, slot := range r.slots {
		if !fits(slot, key) {
			continue
		}
		if ok {
			return keyUse{}, false
		}
		for _, other := range all {
			if other.ID != key.ID && fits(slot, other) {
				return keyUse{}, false
			}
		}
		use, ok = slot.use, true
	}
	return use, ok
}

// rootKeys reports whether the root user had an active key; nil if the report has
// no root user.
func (r credentialReport) rootKeys() *bool {
	root, ok := r.users[rootUser]
	if !ok {
		return nil
	}
	return new(root.slots[0].active || root.slots[1].active)
}

// credentialReport has IAM generate a report, or uses the existing one.
func (c *Connection) credentialReport(ctx context.Context) (credentialReport, error) {
	const op = "get credential report"
	for range reportTries {
		out, err := c.iam.GenerateCredentialReport(ctx, &iam.GenerateCredentialReportInput{})
		if err != nil {
			return credentialReport{}, c.fail(op, err)
		}
		if out.State == types.ReportStateTypeComplete {
			report, err := c.iam.GetCredentialReport(ctx, &iam.GetCredentialReportInput{})
			if err != nil {
				return credentialReport{}, c.fail(op, err)
			}
			users, err := parseReport(report.Content)
			if err != nil {
				return credentialReport{}, c.fail(op, errUnreadable)
			}
			return credentialReport{made: awssdk.ToTime(report.GeneratedTime).UTC(), users: users}, nil
		}
		if err := rota.Sleep(ctx, min(reportPause, c.patience)); err != nil {
			return credentialReport{}, c.fail(op, err)
		}
	}
	return credentialReport{}, c.fail(op, errors.New("IAM is still making it"))
}

// parseReport parses the report by its column names.
func parseReport(content []byte) (map[string]reportRow, error) {
	rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errUnreadable
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, name := range []string{"user", "access_key_1_active", "access_key_1_last_rotated", "access_key_2_active", "access_key_2_last_rotated"} {
		if _, ok := column[name]; !ok {
			return nil, errUnreadable
		}
	}
	users := map[string]reportRow{}
	for _, row := range rows[1:] {
		text := func(name string) string {
			if i, ok := column[name]; ok {
				return said(&row[i])
			}
			return ""
		}
		r := reportRow{password: text("password_enabled") == "true"}
		for i, slot := range []string{"access_key_1", "access_key_2"} {
			r.slots[i] = reportKey{active: text(slot+"_active") == "true", changed: reportTime(text(slot + "_last_rotated"))}
			if at := reportTime(text(slot + "_last_used_date")); !at.IsZero() {
				r.slots[i].use = keyUse{at, text(slot + "_last_used_service"), text(slot + "_last_used_region")}
			}
		}
		users[row[column["user"]]] = r
	}
	return users, nil
}

// reportTime parses a date in the report; zero for N/A, no_information and the
// like.
func reportTime(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}
