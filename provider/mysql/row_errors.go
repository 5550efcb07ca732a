package mysql

import (
	"errors"
	"regexp"
	"slices"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// Error codes of users' statements.
const (
	codeNoSuchColumn    = 1054
	codeNoSuchDatabase  = 1049
	codeShutdown        = 1053
	codeTableFull       = 1114
	codeNetwork         = 1158 // up to 1161
	codeNetworkLast     = 1161
	codeDeadlock        = 1213
	codeInterrupted     = 1317
	codeConnectionKill  = 1927
	codeClusterNotReady = 1047
	codeNoSuchText      = 1366
)

// waitsFor are codes after which the same statement may succeed.
var waitsFor = []uint16{
	codeTooManyConnections, codeUserConnections, codeUserLimit, codeLockWait, codeStatementTime, codeReadOnlyWrite, codeOptionPrevents,
	codeShutdown, codeTableFull, codeDeadlock, codeInterrupted, codeConnectionKill, codeClusterNotReady,
}

// fromMiddle is what the server quotes of a text that a column's characters can't
// express: from the first of these on, so that it isn't recognized as a value's.
var fromMiddle = regexp.MustCompile(`'(\\x[0-9A-F]{2}).*?'`)

// hidden is an answer of the server without values, or what it left of them.
func hidden(err error, values map[string]string) error {
	if answer, ok := errors.AsType[*driver.MySQLError](err); ok {
		copied := *answer
		copied.Message = sqlrow.Hide(answer.Message, values)
		if answer.Number == codeNoSuchText {
			copied.Message = fromMiddle.ReplaceAllString(copied.Message, "'[redacted]'")
		}
		return &copied
	}
	return err
}

// classifyRow says what can be done about what the server answered to a user's
// statement. Another value of the credential would be refused for the same reason.
func classifyRow(e *rota.Error, n uint16) {
	switch {
	case slices.Contains([]uint16{codeDatabaseDenied, codeTableDenied, codeColumnDenied}, n):
		e.Class, e.Remedies = rota.ClassStop, append(rota.Outside("grant it to the connection's user"), rota.Command("rota policy mysql")...)
	case n == codeNoSuchTable, n == codeNoSuchDatabase, n == codeNoSuchColumn:
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("create it, or correct its name in the statement, with its database")
	case passing(n):
		e.Class = rota.ClassWait
	default:
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("correct the statement, or what the table takes")
	}
}
