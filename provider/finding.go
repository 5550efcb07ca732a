package provider

import (
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
)

// Found is the finding of a check: detail if err is nil, and otherwise what's wrong,
// with its remedies. The system that a [rota.Error] names is left out, as check
// already says it.
func Found(check, detail string, err error) rota.Finding {
	if err == nil {
		return rota.Finding{OK: true, Check: check, Detail: detail}
	}
	return Failed(check, err)
}

// Failed is [Found] for an error.
func Failed(check string, err error) rota.Finding {
	f := rota.Finding{Check: check, Detail: err.Error(), Remedies: rota.RemediesOf(err)}
	if e, ok := errors.AsType[*rota.Error](err); ok {
		f.Detail = fmt.Sprint(e.Err)
	}
	return f
}

// Warned is a finding about what works nevertheless.
func Warned(check, detail, hint string) rota.Finding {
	return rota.Finding{Warning: true, Check: check, Detail: detail, Remedies: rota.Outside(hint)}
}
