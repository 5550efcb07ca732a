package agent

import (
	"bytes"
	"fmt"
	"os"

	"github.com/rota-dev/rota/client"
)

// OpenCache opens the cache in a folder, with the key in a file. Without a folder,
// there's none.
func OpenCache(folder, keyFile string) (client.Cache, error) {
	if folder == "" {
		return nil, nil
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("the cache's key: %w", err)
	}
	return client.FileCache(folder, bytes.TrimRight(key, "\r\n"))
}
