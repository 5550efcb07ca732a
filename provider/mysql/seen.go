package mysql

import (
	"strings"
	"sync"
)

// seen names passwords by what the server stores. A hash that Rota made has the
// name in its salt. One that the server made, for a password that a person set or
// that Rota sent in the clear, says nothing, and is compared with those that
// CredentialID was called with: see [rota.Traits].ListsByValue.
type seen struct {
	mu     sync.Mutex
	ids    map[[2]string]string // by user and password
	stored map[string]string    // ids by what the server stores
}

// maxSeen is how many passwords are remembered. A secret has a handful.
const maxSeen = 64

// id is the id of a user's password.
func (n *seen) id(user, password string) string {
	n.mu.Lock()
	id, known := n.ids[[2]string{user, password}]
	n.mu.Unlock()
	if known {
		return id
	}
	id = user + ":" + mark(user, password)[:markLength]
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ids == nil || len(n.ids) >= maxSeen {
		n.ids = map[[2]string]string{}
	}
	n.ids[[2]string{user, password}] = id
	return id
}

// name is the id of the password that a plugin stores this for.
func (n *seen) name(plugin, user, stored string) string {
	if plugin == pluginNative {
		return user + ":" + markOf(user, stored)[:markLength]
	}
	salt := storedForms[plugin].FindStringSubmatch(stored)[2]
	if mark, ours := strings.CutPrefix(salt, saltMark); ours && markForm.MatchString(mark) {
		return user + ":" + mark[:markLength]
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if id, known := n.stored[stored]; known {
		return id
	}
	for by, id := range n.ids {
		if by[0] == user && matches(plugin, user, stored, by[1]) {
			if n.stored == nil || len(n.stored) >= maxSeen {
				n.stored = map[string]string{}
			}
			n.stored[stored] = id
			return id
		}
	}
	// Its salt is all that's known of it.
	return user + ":unknown-" + markOf(user, salt)[:markLength]
}
