package memory_test

import (
	"testing"

	"rota/access/accesstest"
	"rota/access/memory"
)

func TestDirectory(t *testing.T) {
	t.Parallel()
	accesstest.Run(t, func(*testing.T) accesstest.Directory { return &memory.Directory{} })
}
