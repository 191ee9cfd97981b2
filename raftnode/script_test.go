package raftnode_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"

	"redhen/raftnode/raftnodetest"
)

// TestScripts runs testdata/*.txt. REDHEN_REWRITE=1 writes what they print into
// them, to be read before it is committed.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, 1)
			synctest.Test(t, func(t *testing.T) {
				raftnodetest.RunScript(t, file, raftnodetest.Config{Seed: 1, Logger: logger()}, os.Getenv("REDHEN_REWRITE") != "")
			})
		})
	}
}
