package postgres

import (
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// stop is an error that a person has to do something about.
func (c *Connection) stop(op string, err error) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop, Err: err, Remedies: rota.RemediesOf(err)}
}

// remedied is an error that knows what a person can do about it.
type remedied interface {
	error
	Remedies() []rota.Remedy
}

// failed classifies an error of a user's statement. No value that was sent, nor the
// beginning of one, is in its text.
func (r *row) failed(op string, err error, values map[string]string, used ...rota.Credential) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[remedied](err); ok {
		return r.conn.stop(op, rota.WithRemedies(errors.New(known.Error()), known.Remedies()))
	}
	if errors.Is(err, sqlrow.ErrRead) {
		return r.conn.stop(op, rota.WithRemedies(err, rota.Configure("read", "a query whose columns are named like the statement's parameters and show what it wrote")))
	}
	answer, answered := errors.AsType[*pgconn.PgError](err)
	if answered {
		hidden := *answer
		hidden.Message = sqlrow.Hide(answer.Message, values)
		err = rewrapped(err, &hidden)
	}
	err = r.conn.failed(op, err, append(used, rota.NewCredential(values))...)
	if e, ok := errors.AsType[*rota.Error](err); ok && answered && !isLogin(err) {
		r.classify(e, answer.Code)
	}
	return err
}

// rewrapped is the error with another answer of the server.
func rewrapped(err error, answer *pgconn.PgError) error {
	if isLogin(err) {
		return &loginError{answer}
	}
	return answer
}

// hopeless are the classes of SQLSTATE codes with which the same statement, or
// another value, would fail again.
var hopeless = []string{"0A", "0L", "0P", "21", "22", "23", "2F", "38", "39", "3F", "42", "44", "P0"}

// classify says what can be done about what the server answered to a user's
// statement. Another value of the credential would be refused for the same reason.
func (r *row) classify(e *rota.Error, code string) {
	switch class := code[:2]; {
	case code == codeInsufficientRights:
		e.Class, e.Remedies = rota.ClassStop, append(rota.Outside("grant it to the connection's role, as the table's owner"), rota.Command("rota policy postgres")...)
	case code == codeUndefinedTable, code == codeUndefinedSchema:
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("create the table, or correct its name in the statement, with its schema, and the connection's database")
	case slices.Contains(hopeless, class):
		e.Class = rota.ClassStop
		if len(e.Remedies) == 0 || class == "22" {
			e.Remedies = rota.Outside("correct the statement, or what the table takes")
		}
	}
}

// SQLSTATE codes of users' statements.
const (
	codeUndefinedTable  = "42P01"
	codeUndefinedSchema = "3F000"
)
