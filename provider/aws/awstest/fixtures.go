package awstest

import (
	"crypto/subtle"
	"fmt"
	"maps"
	"slices"
	"time"
)

// RootCredentials returns the static key of an administrator who can do
// everything. It is always valid and doesn't belong to an IAM user.
func (s *Server) RootCredentials() (id, secret string) { return s.rootKey.id, s.rootKey.secret }

// CreateUser makes an IAM user without keys, unless the user already exists.
func (s *Server) CreateUser(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users.get(name, false) == nil {
		s.addUser(name, "/")
	}
}

// SetConsole gives a user a password or removes it. No one can log in with it,
// but the credential report shows it.
func (s *Server) SetConsole(user string, password bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users.get(user, false); u != nil {
		changed := *u
		changed.console = password
		s.users.put(user, &changed)
	}
}

// CreateAccessKey makes an active key for a user. It is valid immediately,
// regardless of SetPropagation. It returns an error if the user doesn't exist
// or already has two keys.
func (s *Server) CreateAccessKey(user string) (id, secret string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users.get(user, false)
	if u == nil {
		return "", "", fmt.Errorf("awstest: create access key: no user %s", user)
	}
	if len(u.keys) >= maxKeys {
		return "", "", fmt.Errorf("awstest: create access key: user %s has %d already", user, maxKeys)
	}
	k := s.addKey(u)
	delete(s.newKeys, k.id)
	return k.id, k.secret, nil
}

// Allow lets a user perform actions such as "iam:*AccessKey*",
// "secretsmanager:*" or "*", in addition to their existing rights. The user
// doesn't have to exist yet.
func (s *Server) Allow(user string, actions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rights[user] = append(slices.Clone(s.rights[user]), actions...)
}

// CreateRole makes a role with these rights and returns its ARN. Anyone allowed
// to call sts:AssumeRole can assume it.
func (s *Server) CreateRole(name string, allowActions ...string) (arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &role{name: name, arn: "arn:aws:iam::" + s.account + ":role/" + name, id: s.newID("AROA"), actions: allowActions}
	s.roles[name] = r
	return r.arn
}

// Key is the state of an access key, without its secret.
type Key struct {
	ID      string
	Status  string // "Active" or "Inactive"
	Created time.Time
	// LastUsed, Service and Region describe the last use as
	// GetAccessKeyLastUsed would by now. They're zero if it would report none.
	LastUsed time.Time
	Service  string
	Region   string
}

// Keys returns a user's access keys in creation order, or none if there is no
// such user.
func (s *Server) Keys(user string) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users.get(user, false)
	if u == nil {
		return nil
	}
	keys := make([]Key, len(u.keys))
	for i, k := range u.keys {
		keys[i] = Key{ID: k.id, Status: status(k.active), Created: k.created}
		if use, ok := s.lastUse(k.id); ok {
			keys[i].LastUsed, keys[i].Service, keys[i].Region = use.at, use.service, use.region
		}
	}
	return keys
}

// Valid reports whether a key is active and has this secret. It gives the
// answer that a call signed with the key would get, but without counting as a
// use.
func (s *Server) Valid(id, secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, _ := s.lookup(id)
	return who != nil && who.key.active && subtle.ConstantTimeCompare([]byte(who.key.secret), []byte(secret)) == 1
}

// SetLastUsed replaces the record of a key's uses with a single use. A zero
// time makes it a key that was never used.
func (s *Server) SetLastUsed(keyID string, at time.Time, service, region string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uses, keyID)
	if !at.IsZero() {
		s.uses[keyID] = []use{{at: at.UTC().Truncate(clockStep), service: service, region: region}}
	}
}

// SetLastUsedLag sets how long it takes, by Options.Now, until a use of a key
// is reported. Defaults to 0; on AWS it is hours.
func (s *Server) SetLastUsedLag(lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = lag
}

// CreateBucket makes an S3 bucket that these users can read, in addition to
// those whom Allow lets. If the bucket exists, its readers are replaced and its
// objects kept.
func (s *Server) CreateBucket(name string, readers ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &bucket{name: name, readers: readers, objects: map[string]object{}, versions: map[string][]object{}}
	if old := s.buckets.get(name, false); old != nil {
		b.objects, b.versions = old.objects, old.versions
	}
	s.buckets.put(name, b)
}

// CreateTopic makes an SNS topic, unless it exists, and returns its ARN.
func (s *Server) CreateTopic(name string) (arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addTopic(name, map[string]string{}).arn
}

// Published returns the messages published to a topic, oldest first.
func (s *Server) Published(topicARN string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics.get(afterLast(topicARN, ":"), false)
	if t == nil || t.arn != topicARN {
		return nil
	}
	messages := slices.Clone(t.published)
	for i, m := range messages {
		messages[i].Attributes = maps.Clone(m.Attributes)
	}
	return messages
}

// Subscribe calls deliver for every message published to a topic from now on,
// before the publisher gets its answer. Calls can be concurrent.
func (s *Server) Subscribe(topicARN string, deliver func(Message)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics.get(afterLast(topicARN, ":"), false)
	if t == nil || t.arn != topicARN {
		return fmt.Errorf("awstest: subscribe: no topic %s", topicARN)
	}
	t.subscribers = append(t.subscribers, deliver)
	return nil
}
