package api

import "github.com/rota-dev/rota"

// Problem is what the server answers when it refuses a request or fails, in
// the format of RFC 9457 (application/problem+json).
type Problem struct {
	// Type tells the kinds apart: "about:blank", or one of the constants.
	Type   string `json:"type" doc:"What kind of problem it is."`
	Title  string `json:"title" doc:"The kind, for people."`
	Status int    `json:"status" doc:"The HTTP status."`
	Detail string `json:"detail,omitempty" doc:"What is wrong."`
	Hint   string `json:"hint,omitempty" doc:"What to do about it."`
	// Remedies are the same as values, the recommended one first.
	Remedies []rota.Remedy `json:"remedies,omitempty" doc:"What to do about it, as values: alternatives, the recommended one first. One with also begins what is needed in addition."`
	// Errors are what is wrong with single fields. They hold no values.
	Errors []FieldError `json:"errors,omitempty" doc:"What is wrong with single fields."`
}

// FieldName is the field of a problem with the secret's name in the path.
const FieldName = "path.name"

// FieldError is what is wrong with one field.
type FieldError struct {
	Field  string `json:"field" doc:"Where it is, such as body.secrets[0]."`
	Detail string `json:"detail" doc:"What is wrong with it."`
}

// The kinds of problems.
const (
	TypeUsage    = "urn:rota:problem:usage"  // a mistake in the request; nothing was done
	TypeDenied   = "urn:rota:problem:denied" // the caller may not
	TypeNotFound = "urn:rota:problem:not-found"
	TypeBusy     = "urn:rota:problem:busy"     // another worker is at the secret
	TypeConflict = "urn:rota:problem:conflict" // what is asked for does not fit what is there
	TypeLimited  = "urn:rota:problem:limited"
	TypeFailed   = "urn:rota:problem:failed"
)
