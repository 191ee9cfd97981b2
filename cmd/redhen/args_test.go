package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Rule: whoever gives a command too much or too little reads how it is used, in no words
// of the library.
func TestACommandSaysHowItIsUsed(t *testing.T) {
	root := (&app{out: io.Discard, err: io.Discard, stdin: strings.NewReader("")}).rootCommand()
	checked := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		many := strings.Fields(strings.Repeat("x ", 100))
		for _, given := range [][]string{nil, many} {
			if c.Args == nil {
				continue
			}
			err := c.Args(c, given)
			if err == nil {
				continue
			}
			checked++
			if want := "the command is: redhen " + strings.TrimPrefix(c.CommandPath(), "redhen "); !strings.HasPrefix(err.Error(), want) || exitCode(err) != 2 {
				t.Errorf("%s: %v", c.CommandPath(), err)
			}
		}
	}
	walk(root)
	if checked < 20 {
		t.Errorf("only %d refusals were seen", checked)
	}
}
