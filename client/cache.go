package client

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Cache keeps the last known values, for a start while the source is away. Its
// errors never stop the program: the client logs them and goes on.
type Cache interface {
	// Load returns what was saved, or the zero Value for nothing.
	Load(secret string) (Value, error)
	// Save keeps a value in place of the one before.
	Save(secret string, v Value) error
	// Forget removes what was saved. Removing nothing isn't an error.
	Forget(secret string) error
}

// minKey is the shortest key a file cache takes, in bytes.
const minKey = 16

// FileCache keeps values in a folder, one file each, encrypted with AES-256-GCM. The
// files' names don't show the secrets' names. The key has at least 16 random bytes
// and is kept somewhere else, such as in the machine's credential store: whoever has
// the folder and the key has the secrets.
//
// A damaged file, or one moved from another secret, counts as missing.
func FileCache(folder string, key []byte) (Cache, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("client: the key of a file cache has at least %d bytes, not %d", minKey, len(key))
	}
	sealing, err := hkdf.Key(sha256.New, key, nil, "rota client cache: contents", 32)
	if err != nil {
		return nil, err
	}
	naming, err := hkdf.Key(sha256.New, key, nil, "rota client cache: names", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, err
	}
	sealer, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	return &fileCache{folder: folder, naming: naming, sealer: sealer}, nil
}

type fileCache struct {
	folder string
	naming []byte
	sealer cipher.AEAD
}

// cachedValue is a file's content before it's sealed. Its values are bytes, because
// package json would change those that aren't UTF-8, such as a keystore's.
type cachedValue struct {
	Version string            `json:"version"`
	Text    []byte            `json:"text"`
	Fields  map[string][]byte `json:"fields,omitempty"`
}

var errDamaged = errors.New("the cached value is damaged, or was written with another key")

func (c *fileCache) path(secret string) string {
	name := hmac.New(sha256.New, c.naming)
	name.Write([]byte(secret))
	return filepath.Join(c.folder, hex.EncodeToString(name.Sum(nil)[:16]))
}

func (c *fileCache) Load(secret string) (Value, error) {
	sealed, err := os.ReadFile(c.path(secret))
	if errors.Is(err, fs.ErrNotExist) {
		return Value{}, nil
	}
	if err != nil {
		return Value{}, err
	}
	text, err := c.sealer.Open(nil, nil, sealed, []byte(secret))
	if err != nil {
		return Value{}, errDamaged
	}
	var v cachedValue
	if json.Unmarshal(text, &v) != nil {
		return Value{}, errDamaged
	}
	var fields map[string]string
	if v.Fields != nil {
		fields = make(map[string]string, len(v.Fields))
	}
	for name, field := range v.Fields {
		fields[name] = string(field)
	}
	return Value{newContent(v.Version, string(v.Text), fields)}, nil
}

func (c *fileCache) Save(secret string, v Value) (err error) {
	saved := cachedValue{Version: v.Version(), Text: []byte(v.Text()), Fields: map[string][]byte{}}
	for name, field := range v.Fields() {
		saved.Fields[name] = []byte(field)
	}
	text, err := json.Marshal(saved)
	if err != nil {
		return errors.New("the value can't be encoded")
	}
	f, err := os.CreateTemp(c.folder, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(c.sealer.Seal(nil, nil, text, []byte(secret))) //nolint:gosec // this AEAD chooses a random nonce by itself
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), c.path(secret))
}

func (c *fileCache) Forget(secret string) error {
	if err := os.Remove(c.path(secret)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// cached returns what the cache has of a secret, if there is a cache.
func (c *Client) cached(secret string) Value {
	if c.o.Cache == nil {
		return Value{}
	}
	v, err := c.o.Cache.Load(secret)
	if err != nil {
		c.o.Logger.Warn("the cache has no usable value", "secret", secret, "error", err)
		return Value{}
	}
	return v
}

// keep saves a new version in the cache, if there is one.
func (c *Client) keep(secret string, v Value) {
	if c.o.Cache == nil {
		return
	}
	if err := c.o.Cache.Save(secret, v); err != nil {
		c.o.Logger.Warn("a new version can't be cached", "secret", secret, "error", err)
	}
}

// forget removes a secret from the cache, if there is one.
func (c *Client) forget(secret string) {
	if c.o.Cache == nil {
		return
	}
	if err := c.o.Cache.Forget(secret); err != nil {
		c.o.Logger.Warn("a secret that may not be read any more can't be removed from the cache", "secret", secret, "error", err)
	}
}
