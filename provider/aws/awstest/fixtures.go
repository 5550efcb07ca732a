package awstest

import (
	"crypto/subtle"
	"fmt"
	"maps"
	"slices"
	"time"
)

// RootCredentials is the static key of an administrator, who may do everything.
// It is valid from the start, always, and is no IAM user's.
func (s *Server) RootCredentials() (id, secret string) { return s.rootKey.id, s.rootKey.secret }

// CreateUser makes an IAM user without keys, unless there is one of that name.
func (s *Server) CreateUser(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users.get(name, false) == nil {
		s.addUser(name, "/")
	}
}

// SetConsole gives a user a password or takes it away. Nobody can log in with
// it; the credential report tells.
func (s *Server) SetConsole(user string, password bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users.get(user, false); u != nil {
		changed := *u
		changed.console = password
		s.users.put(user, &changed)
	}
}

// CreateAccessKey makes an active key for a user, valid at once whatever
// SetPropagation says. A user that has two keys, or is not there, is an error.
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

// Allow lets a user do actions such as "iam:*AccessKey*", "secretsmanager:*" or
// "*", beside what it may already. The user need not exist yet.
func (s *Server) Allow(user string, actions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rights[user] = append(slices.Clone(s.rights[user]), actions...)
}

// CreateRole makes a role with these rights and returns its ARN. Whoever may
// call sts:AssumeRole may assume it.
func (s *Server) CreateRole(name string, allowActions ...string) (arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &role{name: name, arn: "arn:aws:iam::" + s.account + ":role/" + name, id: s.newID("AROA"), actions: allowActions}
	s.roles[name] = r
	return r.arn
}

// Key is what there is to know of an access key but the secret.
type Key struct {
	ID      string
	Status  string // "Active" or "Inactive"
	Created time.Time
	// LastUsed, Service and Region tell of the last use as GetAccessKeyLastUsed
	// would by now; zero if it would tell of none.
	LastUsed time.Time
	Service  string
	Region   string
}

// Keys are the access keys of a user, in order of creation; none if there is no
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

// Valid says whether a key is active and this is its secret: what a call
// signed with it would find, without the call and without counting as a use.
func (s *Server) Valid(id, secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, _ := s.lookup(id)
	return who != nil && who.key.active && subtle.ConstantTimeCompare([]byte(who.key.secret), []byte(secret)) == 1
}

// SetLastUsed makes a use of a key the only one on record; a zero time makes it
// a key that was never used.
func (s *Server) SetLastUsed(keyID string, at time.Time, service, region string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uses, keyID)
	if !at.IsZero() {
		s.uses[keyID] = []use{{at: at.UTC().Truncate(clockStep), service: service, region: region}}
	}
}

// SetLastUsedLag makes the last use of a key known only after this time, by
// Options.Now. Defaults to 0; at AWS it is hours.
func (s *Server) SetLastUsedLag(lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = lag
}

// CreateBucket makes an S3 bucket that these users, beside those whom Allow
// lets, may read. A bucket of that name gets new readers and keeps its objects.
func (s *Server) CreateBucket(name string, readers ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &bucket{name: name, readers: readers, objects: map[string]object{}}
	if old := s.buckets.get(name, false); old != nil {
		b.objects = old.objects
	}
	s.buckets.put(name, b)
}

// CreateTopic makes an SNS topic, or finds it, and returns its ARN.
func (s *Server) CreateTopic(name string) (arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addTopic(name, map[string]string{}).arn
}

// Published are the messages that a topic got, oldest first.
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

// Subscribe calls deliver for every message that is published to a topic from
// now on, before the publisher gets its answer and possibly from several
// goroutines at once.
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
