package phone

import (
	"fmt"
	"os"
	"os/exec"
	"redhen/cmd/redhen/child"
	"testing"
)

// program is the variable of the environment that holds the path of redhen.
const program = "REDHEN_TEST_PROGRAM"

// Where the tests of this folder find and leave things that are built.
const (
	outDir  = "../../../out"
	screens = outDir + "/screens"
	axePath = outDir + "/node/node_modules/axe-core/axe.min.js"
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

// runTests builds redhen once for all tests, unless the environment has one.
func runTests(m *testing.M) int {
	if raced {
		fmt.Println("pages in a real browser: make phone runs them, without the race detector")
		return 0
	}
	if _, err := exec.LookPath("chromium"); err != nil {
		fmt.Println("pages in a real browser: skipped, there is no chromium; make setup installs it")
		return 0
	}
	if os.Getenv(program) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "redhen-phone-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	path, err := child.Build(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(program, path)
	return m.Run()
}
