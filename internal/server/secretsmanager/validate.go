package secretsmanager

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits from the API's model, in characters, except for the value's, which is
// in bytes.
const (
	maxName        = 512
	maxSecretID    = 2048
	maxValue       = 65536
	maxDescription = 2048
	maxKMSKey      = 2048
	maxType        = 256
	maxToken       = 4096 // NextToken
)

// epoch is a date in the JSON protocol: seconds since 1970, to the millisecond.
type epoch struct{ time.Time }

// MarshalJSON writes the date as a number.
func (e epoch) MarshalJSON() ([]byte, error) {
	ms := e.UnixMilli()
	out := strconv.AppendInt(nil, ms/1000, 10)
	return fmt.Appendf(out, ".%03d", ms%1000), nil
}

// checkLength checks a parameter's length in characters.
func checkLength(name, value string, low, high int) error {
	n := utf8.RuneCountInString(value)
	if n < low {
		return violation(name, fmt.Sprintf("Member must have length greater than or equal to %d", low))
	}
	if n > high {
		return violation(name, fmt.Sprintf("Member must have length less than or equal to %d", high))
	}
	return nil
}

// checkOptionalLength is checkLength for an optional parameter.
func checkOptionalLength(name string, value *string, low, high int) error {
	if value == nil {
		return nil
	}
	return checkLength(name, *value, low, high)
}

// checkRange checks an optional number.
func checkRange(name string, value *int64, low, high int64) error {
	if value == nil {
		return nil
	}
	if *value < low {
		return violationOf(strconv.FormatInt(*value, 10), name, fmt.Sprintf("Member must have value greater than or equal to %d", low))
	}
	if *value > high {
		return violationOf(strconv.FormatInt(*value, 10), name, fmt.Sprintf("Member must have value less than or equal to %d", high))
	}
	return nil
}

// violation says which parameter is invalid, but not its value, which could be a
// secret.
func violation(name, constraint string) error {
	return errValidation("1 validation error detected: Value at '" + name + "' failed to satisfy constraint: " + constraint)
}

// violationOf also says the value, as AWS does.
func violationOf(value, name, constraint string) error {
	return errValidation("1 validation error detected: Value '" + value + "' at '" + name + "' failed to satisfy constraint: " + constraint)
}

// firstError returns the first error.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkSecretID(id string) error {
	if id == "" {
		return errInvalidParameter("You must provide a SecretId.")
	}
	if err := checkLength("secretId", id, 1, maxSecretID); err != nil {
		return err
	}
	if strings.HasPrefix(id, "arn:") {
		return checkPrintable("secretId", id)
	}
	return checkCharacters(id)
}

// checkPrintable refuses control characters in names: not every database and
// log accepts all of them.
func checkPrintable(name, value string) error {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return violation(name, "Member must not hold control characters")
	}
	return nil
}

var validName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!-]+$`)

func checkName(name string) error {
	if err := checkLength("name", name, 1, maxName); err != nil {
		return err
	}
	return checkCharacters(name)
}

func checkCharacters(name string) error {
	if !validName.MatchString(name) {
		return errValidation("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	return nil
}

// noToken is AWS's message for a missing ClientRequestToken. Its code depends on
// the operation.
const noToken = "You must provide a ClientRequestToken value. We recommend a UUID-type value."

// checkRequestToken checks a ClientRequestToken, which becomes a version's id.
func checkRequestToken(token string) error {
	if token == "" {
		return errInvalidParameter(noToken)
	}
	if n := len(token); n < 32 || n > 64 {
		return errInvalidParameter("ClientRequestToken must be 32-64 characters long.")
	}
	return checkPrintable("clientRequestToken", token)
}

func checkVersionID(name, id string) error {
	if id == "" {
		return nil
	}
	return firstError(checkLength(name, id, 32, 64), checkPrintable(name, id))
}

func checkLabel(label string) error {
	if n := utf8.RuneCountInString(label); n < 1 || n > 256 {
		return errInvalidParameter("A staging label must have 1 to 256 characters.")
	}
	return checkPrintable("versionStage", label)
}
