package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// unanswered classifies an error without an answer.
func (c *Connection) unanswered(e *rota.Error, err error) {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err // without the address
	}
	e.Class, e.Err = rota.ClassWait, fmt.Errorf("no answer: %w", err)
	e.Remedies = rota.Outside("check that this machine reaches " + c.host + ", and the address of connection " + c.name)
	switch {
	case errors.Is(err, context.Canceled):
		e.Remedies = nil
	case provider.TimedOut(err):
		e.Err = provider.Opaque("no answer in time", err, nil)
	case provider.Untrusted(err):
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("set tls_ca of connection "+c.name+" to the authority that signed the server's certificate, or correct the address's host")
	case provider.Plaintext(err):
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("correct the address of connection "+c.name+": what answers there doesn't speak TLS")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Err = errors.New("no answer: the connection was closed")
	}
}
