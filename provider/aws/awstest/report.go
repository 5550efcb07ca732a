package awstest

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"strconv"
	"time"
)

// reportLife is how long a credential report is reused before a new one is
// generated.
const reportLife = 4 * time.Hour

// report is a credential report.
type report struct {
	made    time.Time
	content []byte
}

// accountSummary says that the root user has no access keys, although tests use
// one as their administrator's key.
var accountSummary = struct {
	Entries []summaryEntry `xml:"SummaryMap>entry"`
}{[]summaryEntry{{"AccountAccessKeysPresent", 0}}}

type summaryEntry struct {
	Key   string `xml:"key"`
	Value int    `xml:"value"`
}

// generateCredentialReport starts a report, which is complete by the next
// request.
func (s *Server) generateCredentialReport() any {
	state := "COMPLETE"
	if s.report == nil || s.now().Sub(s.report.made) >= reportLife {
		s.report = &report{made: s.now(), content: s.reportContent()}
		state = "STARTED"
	}
	return struct{ State string }{state}
}

func (s *Server) getCredentialReport() (any, *apiError) {
	switch {
	case s.report == nil:
		return nil, fail(410, "ReportNotPresent", "No report exists. Please call GenerateCredentialReport.")
	case s.now().Sub(s.report.made) >= reportLife:
		return nil, fail(410, "ReportExpired", "The report is older than four hours. Please call GenerateCredentialReport.")
	}
	return struct{ Content, ReportFormat, GeneratedTime string }{
		base64.StdEncoding.EncodeToString(s.report.content), "text/csv", iso(s.report.made),
	}, nil
}

// reportContent returns the report's text, with the columns documented by AWS.
func (s *Server) reportContent() []byte {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	rows := [][]string{{
		"user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed", "password_next_rotation", "mfa_active",
		"access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date", "access_key_1_last_used_region", "access_key_1_last_used_service",
		"access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date", "access_key_2_last_used_region", "access_key_2_last_used_service",
		"cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated",
	}, {
		"<root_account>", "arn:aws:iam::" + s.account + ":root", "2020-01-01T00:00:00+00:00", "not_supported", "no_information", "not_supported", "not_supported", "true",
		"false", "N/A", "N/A", "N/A", "N/A", "false", "N/A", "N/A", "N/A", "N/A", "false", "N/A", "false", "N/A",
	}}
	users, _ := s.users.page(0, 1<<30, false, func(*user) bool { return true })
	for _, u := range users {
		row := []string{u.name, u.arn, reportDate(u.created), strconv.FormatBool(u.console), "N/A", "N/A", "N/A", "false"}
		for i := range maxKeys {
			slot := []string{"false", "N/A", "N/A", "N/A", "N/A"}
			if i < len(u.keys) {
				k := u.keys[i]
				slot[0], slot[1] = strconv.FormatBool(k.active), reportDate(k.created)
				if use, ok := s.lastUse(k.id); ok {
					slot[2], slot[3], slot[4] = reportDate(use.at), use.region, use.service
				}
			}
			row = append(row, slot...)
		}
		rows = append(rows, append(row, "false", "N/A", "false", "N/A"))
	}
	_ = w.WriteAll(rows) // a bytes.Buffer never fails
	return out.Bytes()
}

func reportDate(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }
