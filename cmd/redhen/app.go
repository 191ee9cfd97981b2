package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"redhen/appliance/api"
	"redhen/cmd/redhen/install"
)

// app is what all commands share.
type app struct {
	stdin    io.Reader
	out, err io.Writer

	state string // the state directory
	json  bool
	ran   bool // the command line was understood
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "redhen",
		Short:         "Files that live in several houses, and outlive a fire in one",
		SilenceErrors: true, SilenceUsage: true,
	}
	root.PersistentFlags().StringVar(&a.state, "state", defaultState(), "state directory of the box (or set REDHEN_STATE)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "show JSON")
	root.AddCommand(
		a.runCommand(), a.foundCommand(), a.inviteCommand(), a.joinCommand(), a.giftCommand(), a.cardsCommand(), a.diskCommand(), a.updateCommand(), a.accountCommand(),
		a.statusCommand(), a.doctorCommand(), a.nameCommand(), a.relayCommand(), a.housesCommand(), a.diaryCommand(), a.goneCommand(), a.replaceCommand(), a.takeoverCommand(), a.exportCommand(),
		a.scrubCommand(), a.drillCommand(), a.retireCommand(), a.installCommand(), a.uninstallCommand(), a.flashCommand(), a.demoCommand(), a.fireCommand(),
	)
	a.noteRun(root)
	return root
}

// noteRun has each command note that its command line was understood, and say how it is
// used where too much or too little was given.
func (a *app) noteRun(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			a.ran = true
			return run(cmd, args)
		}
	}
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if args(cmd, given) != nil {
				return &usageError{fmt.Errorf("the command is: %s", cmd.UseLine())}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		a.noteRun(sub)
	}
}

func defaultState() string {
	if dir := os.Getenv("REDHEN_STATE"); dir != "" {
		return dir
	}
	if _, err := os.ReadDir(install.State); err == nil && os.Geteuid() == 0 {
		return install.State // the installed box
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "redhen-state"
	}
	return filepath.Join(home, ".redhen")
}

// box is the box that the command is about.
func (a *app) box() *api.Client { return api.NewClient(a.state) }

// show prints v as JSON when that was asked for, and else what words writes.
func (a *app) show(v any, words func(w io.Writer)) error {
	if !a.json {
		words(a.out)
		return nil
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("show: %w", err)
	}
	_, err = fmt.Fprintf(a.out, "%s\n", b)
	return err
}

// done prints what was done.
func (a *app) done(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return a.show(map[string]string{"done": text}, func(w io.Writer) { fmt.Fprintln(w, text) })
}

// maxPassword bounds a line with a password, in bytes.
const maxPassword = 1 << 10

// password reads one line from the input; at a keyboard it asks, and shows nothing.
func (a *app) password(prompt string) (string, error) {
	if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(a.err, prompt+": ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		return string(b), nil
	}
	if _, ok := a.stdin.(*bufio.Reader); !ok {
		a.stdin = bufio.NewReaderSize(a.stdin, maxPassword) // for the next line, too
	}
	line, err := a.stdin.(*bufio.Reader).ReadSlice('\n')
	text := strings.TrimRight(string(line), "\r\n")
	if err != nil && !errors.Is(err, io.EOF) || text == "" {
		return "", &usageError{fmt.Errorf("no password: write it as one line to the input of the command")}
	}
	return text, nil
}

// usageError says that the command line makes no sense.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// need refuses an empty value of a flag.
func need(flags *cobra.Command, names ...string) error {
	for _, n := range names {
		if f := flags.Flags().Lookup(n); f == nil || f.Value.String() == "" {
			return &usageError{fmt.Errorf("--%s is needed", n)}
		}
	}
	return nil
}

// exitCode is 0 for done, 1 for did not work, 2 for wrong usage.
func exitCode(err error) int {
	_, usage := errors.AsType[*usageError](err)
	switch {
	case err == nil:
		return 0
	case usage:
		return 2
	}
	return 1
}

// sentence is what a person reads of an error.
func sentence(err error) string {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Sentence
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return strings.TrimSuffix(err.Error(), ".") + ". Nothing was changed. See redhen --help."
	}
	if errors.Is(err, context.Canceled) {
		return "Stopped before the end. What was done so far stays. Run the command again to go on."
	}
	return err.Error()
}
