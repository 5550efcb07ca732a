package rota

import (
	"fmt"
	"strings"
	"time"
)

// sentences explains each kind. Every notifier whose output people read shows
// them.
var sentences = map[EventKind]string{
	EventRotated:     "A new credential has replaced the old one.",
	EventAdopted:     "Rota has taken over this credential and will keep it fresh from now on.",
	EventDeactivated: "The previous credential was deactivated.",
	EventDeleted:     "The previous credential was deleted.",
	EventDiscarded:   "A credential that was never used has been removed.",
	EventHeld:        "Something is due, but must not be done yet. The current credential stays in place.",
	EventFailed:      "A step failed and will be retried.",
	EventQuarantined: "A step failed too often. Rota won't retry it until a person acts.",
	EventRecovered:   "The problem reported earlier is resolved.",
	EventRolledBack:  "The previous credential is current again.",
	EventLate:        "Something is overdue.",
	EventExpiring:    "The credential expires soon, whatever Rota does.",
	EventReminder:    "A person has to rotate this credential.",
	EventDigest:      "This is what happened since the last message.",
}

// Sentence explains the kind in one sentence. It's "" for an unknown kind.
func (k EventKind) Sentence() string { return sentences[k] }

// Title returns the event in a few words, on one line.
func (e Event) Title() string {
	if e.Kind == EventDigest {
		return fmt.Sprintf("Rota: %d events", len(e.Events))
	}
	return fmt.Sprintf("Rota: %s %s", e.Secret, e.Kind)
}

// Why returns the reason, and what a person can do about it.
func (e Event) Why() string {
	return WithHint(e.Reason, e.Remedies, Remedy.String)
}

// Text returns the event as several lines of plain text for people to read.
func (e Event) Text() string {
	var b strings.Builder
	if e.Kind == EventDigest {
		e.digest(&b)
		return b.String()
	}
	fmt.Fprintf(&b, "%s: %s\n", e.Secret, e.Kind)
	for _, paragraph := range []string{e.Kind.Sentence(), e.Why()} {
		if paragraph != "" {
			fmt.Fprintf(&b, "\n%s\n", paragraph)
		}
	}
	b.WriteByte('\n')
	for _, line := range [][2]string{
		{"Secret", e.Secret}, {"Version", e.Version}, {"Credential", e.Credential},
		{"At", e.At.UTC().Format(time.RFC3339)}, {"Event", e.ID},
	} {
		if line[1] != "" {
			fmt.Fprintf(&b, "%-11s %s\n", line[0]+":", line[1])
		}
	}
	return b.String()
}

func (e Event) digest(b *strings.Builder) {
	fmt.Fprintf(b, "%s\n\n", e.Kind.Sentence())
	for _, one := range e.Events {
		fmt.Fprintf(b, "%s  %s: %s\n", one.At.UTC().Format("2006-01-02 15:04Z"), one.Secret, one.Kind)
		if one.Why() != "" {
			fmt.Fprintf(b, "    %s\n", one.Why())
		}
	}
	if e.Reason != "" {
		fmt.Fprintf(b, "\n%s\n", e.Reason)
	}
}

// Clip shortens a text that is longer than most bytes and adds a note that it
// did. It cuts at the end of a line if it can.
func Clip(text string, most int) string {
	const cut = "… (cut: too long for one message)\n"
	if len(text) <= most {
		return text
	}
	text = text[:max(0, most-len(cut))]
	if end := strings.LastIndexByte(text, '\n'); end >= 0 {
		return text[:end+1] + cut
	}
	return strings.ToValidUTF8(text, "") + cut
}
