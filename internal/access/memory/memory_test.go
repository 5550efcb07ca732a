package memory_test

import (
	"testing"

	"github.com/rota-dev/rota/internal/access/accesstest"
	"github.com/rota-dev/rota/internal/access/memory"
)

func TestDirectory(t *testing.T) {
	t.Parallel()
	accesstest.Run(t, func(*testing.T) accesstest.Directory { return &memory.Directory{} })
}
