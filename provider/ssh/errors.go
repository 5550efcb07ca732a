package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// stop is an error that only a person can end.
func (c *Connection) stop(op string, err error, remedies []rota.Remedy) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop, Err: err, Remedies: remedies}
}

// failed turns an error into a classified one whose text contains no secret.
func (c *Connection) failed(ctx context.Context, op string, err error, used ...rota.Credential) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*rota.Error](err); ok {
		return err
	}
	if other, ok := errors.AsType[*otherError](err); ok { // it may repeat what it was sent
		said := rota.Sanitize(errors.New(other.said), append(slices.Clone(used), c.own())...)
		err = &otherError{said: lastLines(said.Error())}
	}
	class, remedies := c.classify(ctx, err)
	e := &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Remedies: remedies, Err: c.plain(ctx, err)}
	return rota.Sanitize(e, append(slices.Clone(used), c.own())...)
}

// own is what Rota itself logs in with.
func (c *Connection) own() rota.Credential {
	return rota.NewCredential(map[string]string{rota.FieldPassword: c.cfg.Password, "private_key": c.cfg.PrivateKey, "passphrase": c.cfg.Passphrase})
}

// refused is the error of a credential that a host doesn't accept.
func (c *Connection) refused(op, user, remedy string) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassWait, Remedies: rota.Outside(remedy),
		Err: fmt.Errorf("%w: the host refuses the login of %s", rota.ErrRefused, user)}
}

// rejected reports whether a host refused a login.
func rejected(err error) bool {
	return errors.Is(err, errHandshake) && (strings.Contains(err.Error(), "unable to authenticate") || tooMany(err))
}

// tooMany reports whether a host refused a login after as many tries as it allows.
func tooMany(err error) bool {
	return strings.Contains(strings.ToLower(err.Error()), "too many authentication failures")
}

// signs are what sudo and file systems say, and what that means.
var signs = []struct {
	text   string
	class  rota.Class
	remedy string
}{
	{"Password change required", rota.ClassStop, "change USER's password on the host, or have it never expire (chage -M -1 USER)"},
	{"a password is required", rota.ClassStop, "a line in sudoers with NOPASSWD for the connection's user"},
	{"you must have a tty", rota.ClassStop, "Defaults:USER !requiretty in sudoers, with the connection's user: Rota uses no terminal, which would print the values"},
	{"is not in the sudoers file", rota.ClassStop, "a line in sudoers for the connection's user"},
	{"is not allowed to execute", rota.ClassStop, "a line in sudoers that allows just this command"},
	{"sudo: command not found", rota.ClassStop, "install sudo on the host, or log in as the user that run_as names"},
	{"sudo: not found", rota.ClassStop, "install sudo on the host, or log in as the user that run_as names"},
	{"unknown user", rota.ClassStop, "create the user on the host, or correct run_as"},
	{"No space left on device", rota.ClassWait, "free some space on the host"},
	{"Disk quota exceeded", rota.ClassWait, "raise the user's quota on the host, or free some space"},
	{"Read-only file system", rota.ClassStop, "a path on a file system of the host that can be written"},
	{"Operation not permitted", rota.ClassStop, "log in as a user who may do that, or name one in run_as; look for the attributes i and a (lsattr)"},
	{"Permission denied", rota.ClassStop, "log in as the file's owner, or name them in run_as"},
	{"This account is currently not available", rota.ClassStop, "a login shell for the connection's user, such as /bin/sh"},
}

// needsRule reports whether sudo says that sudoers lacks a line.
func needsRule(text string) bool {
	return slices.ContainsFunc([]string{"a password is required", "is not in the sudoers file", "is not allowed to execute"}, func(s string) bool { return strings.Contains(text, s) })
}

// classify says what can be done about an error.
func (c *Connection) classify(ctx context.Context, err error) (rota.Class, []rota.Remedy) {
	if remedies := rota.RemediesOf(err); len(remedies) > 0 {
		return rota.ClassStop, remedies
	}
	if errors.Is(err, errChanged) || errors.Is(err, errCutOff) || errors.Is(err, errOutput) {
		return rota.ClassWait, nil
	}
	if _, ok := errors.AsType[*refusedContent](err); ok {
		return rota.ClassStop, rota.Outside("correct the file, or move it away")
	}
	if e, ok := errors.AsType[*hostKeyError](err); ok {
		return rota.ClassStop, e.remedies()
	}
	if _, ok := errors.AsType[*agentError](err); ok {
		return rota.ClassWait, rota.Outside("start the agent that SSH_AUTH_SOCK names, and add the key to it")
	}
	if e, ok := errors.AsType[*hungUpError](err); ok {
		return rota.ClassWait, rota.Outside(e.remedy())
	}
	if e, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err); ok {
		return rota.ClassStop, rota.Outside(noCommon(e))
	}
	if rejected(err) && tooMany(err) && c.cfg.AgentSocket != "" {
		return rota.ClassStop, rota.Outside("fewer keys in the agent that SSH_AUTH_SOCK names, or a higher MaxAuthTries in the host's sshd_config")
	}
	if rejected(err) {
		return rota.ClassStop, rota.Outside(fmt.Sprintf("put the public key of connection %s into %s's authorized_keys on the host, or correct user, private_key and password", c.name, c.cfg.User))
	}
	if _, ok := errors.AsType[*sessionError](err); ok {
		return rota.ClassWait, rota.Outside("MaxSessions in the host's sshd_config")
	}
	if e, ok := errors.AsType[*ssh.OpenChannelError](err); ok && e.Reason == ssh.Prohibited {
		return rota.ClassWait, rota.Outside("AllowTcpForwarding yes in the jump host's sshd_config")
	}
	if _, ok := errors.AsType[*exitError](err); ok {
		return c.said(err.Error(), rota.ClassWait, nil)
	}
	if _, ok := errors.AsType[*otherError](err); ok {
		return c.said(err.Error(), rota.ClassStop, rota.Outside(fmt.Sprintf("let user %s run sh on the host: no ForceCommand or command= for Rota's key, no restricted shell, no exit in the shell's startup files, and a PATH with sh in it", c.cfg.User)))
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return rota.ClassWait, nil
	}
	return rota.ClassWait, c.unreached()
}

// remedy is what a person can do about a host that doesn't say why.
func (e *hungUpError) remedy() string {
	return "look for " + e.user + " in sshd's log on the host: the account may have expired (chage -l " + e.user + "), PAM may not let it in, or too many logins may be in progress (MaxStartups, LoginGraceTime)"
}

// noCommon is what a person can do about a host that speaks another cryptography.
func noCommon(e *ssh.AlgorithmNegotiationError) string {
	if strings.Contains(e.Error(), "for host key") {
		return "put the host's key of one of the kinds that it offers into known_hosts; ssh-rsa with SHA-1 isn't accepted"
	}
	return "allow one of the algorithms that Rota offers in the host's sshd_config (KexAlgorithms, Ciphers, MACs), or update its sshd"
}

// said looks for what a host's programs are known to say.
func (c *Connection) said(text string, class rota.Class, otherwise []rota.Remedy) (rota.Class, []rota.Remedy) {
	for _, s := range signs {
		if strings.Contains(text, s.text) {
			return s.class, rota.Outside(strings.ReplaceAll(s.remedy, "USER", c.cfg.User))
		}
	}
	return class, otherwise
}

// unreached is what a person can do about a host that doesn't answer.
func (c *Connection) unreached() []rota.Remedy {
	return rota.Outside(fmt.Sprintf("check the hosts of connection %s, that sshd runs there with room for another login (MaxStartups), and that no firewall is on the way", c.name))
}

// plain is an error with only the text. Its chain contains only the context's error.
func (c *Connection) plain(ctx context.Context, err error) error {
	text := clean(err.Error())
	switch {
	case rejected(err):
		text = "the host refuses the login of " + c.cfg.User
		if tooMany(err) {
			text += ", after as many tries as it allows"
		}
	case provider.TimedOut(err):
		text = "no response in time"
	case errors.Is(err, errHandshake) && hungUp(err):
		text = "the host closed the connection before the login"
	case errors.Is(err, io.EOF):
		text = "the host closed the connection"
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return provider.Opaque(rota.OneLine(text), err, nil)
}

// terminal are the sequences that programs use for colors, titles and the like.
var terminal = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[ -/]*[0-~])")

// clean is a host's text without what a terminal would take for a command.
func clean(text string) string {
	text = terminal.ReplaceAllString(strings.ToValidUTF8(text, "�"), "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029': // C1 too, and what turns text around
			return -1
		}
		return r
	}, text)
}

// join is the error of several hosts. It can be retried if one of them can.
func (c *Connection) join(op string, errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	class := rota.ClassStop
	for _, err := range errs {
		if rota.ClassOf(err) == rota.ClassWait {
			class = rota.ClassWait
		}
	}
	all := errors.Join(errs...)
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Err: &joined{all}, Remedies: rota.RemediesOf(all)}
}

// joined shows several errors in one line.
type joined struct{ error }

func (j *joined) Error() string { return rota.OneLine(j.error.Error()) }
func (j *joined) Unwrap() error { return j.error }
