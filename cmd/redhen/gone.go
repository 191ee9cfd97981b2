package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"redhen/appliance/account"
	"redhen/appliance/api"
)

func (a *app) goneCommand() *cobra.Command {
	var g api.Gone
	cmd := &cobra.Command{
		Use: "gone BOX", Short: "Say that a box is lost for good (a keeper's password on the input)", Args: cobra.ExactArgs(1),
		Long: "Say that a box is lost for good. The circle then brings its copies to other houses.\nThat box may hold writes that nobody else has: what was answered \"kept in 1 house\" there is lost with it.\nWith --stolen it never comes back: what people had opened there ends, and the secrets that it knew are changed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := need(cmd, "keeper"); err != nil {
				return err
			}
			g.Box = args[0]
			return a.gone(cmd.Context(), g)
		},
	}
	goneFlags(cmd, &g)
	return cmd
}

func goneFlags(cmd *cobra.Command, g *api.Gone) {
	cmd.Flags().StringVar(&g.Keeper, "keeper", "", "login name of the keeper who says so")
	cmd.Flags().StringVar(&g.Confirm, "confirm", "", "the name of the house where that box stands (else it is asked for)")
	cmd.Flags().BoolVar(&g.Stolen, "stolen", false, "it was stolen, or somebody has it who should not: never let it in again")
}

func (a *app) replaceCommand() *cobra.Command {
	var g api.Gone
	cmd := &cobra.Command{
		Use: "replace OLD NEW", Short: "Say that a box is lost, and which box takes its place (a keeper's password on the input)", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := need(cmd, "keeper"); err != nil {
				return err
			}
			g.Box, g.Replacement = args[0], args[1]
			return a.gone(cmd.Context(), g)
		},
	}
	goneFlags(cmd, &g)
	return cmd
}

func (a *app) gone(ctx context.Context, g api.Gone) (err error) {
	g.Keeper = account.CleanName(g.Keeper)
	if g.Confirm, err = a.confirmGone(ctx, g); err != nil {
		return err
	}
	if g.Password, err = a.password("Password of " + g.Keeper); err != nil {
		return err
	}
	agreed, err := a.box().Gone(ctx, g)
	if err != nil {
		return err
	}
	switch {
	case agreed.More == 1:
		return a.done("Noted. One more keeper has to say the same before it counts.")
	case agreed.More > 1:
		return a.done("Noted. %d more keepers have to say the same before it counts.", agreed.More)
	case g.Stolen:
		return a.done("%s is shut out of the circle for good. redhen status tells what whoever has it can do, and what is left to do.", g.Box)
	case g.Replacement != "":
		return a.done("%s is out of the circle, and %s takes its place. redhen status tells how far the copies are.", g.Box, g.Replacement)
	}
	return a.done("%s is out of the circle. redhen status tells how far the new copies are.", g.Box)
}

// confirmGone shows what is known and what may be lost, and returns the name of the
// house that the person typed.
func (a *app) confirmGone(ctx context.Context, g api.Gone) (string, error) {
	brief, err := a.box().GoneBrief(ctx, g.Box, g.Stolen)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(a.err, "%s\n%s\n", brief.Known, brief.Lost)
	if g.Confirm != "" {
		return g.Confirm, nil
	}
	f, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", &usageError{fmt.Errorf("--confirm NAME is needed: the name of the house where %s stands", g.Box)}
	}
	fmt.Fprintf(a.err, "If that is so, type the name of the house: ")
	line, err := readLine(f)
	if err != nil {
		return "", fmt.Errorf("read the name: %w", err)
	}
	return line, nil
}

// readLine reads a line of at most 255 bytes, and nothing behind it.
func readLine(f *os.File) (string, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < 255; {
		if _, err := f.Read(b); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			break
		}
		line = append(line, b[0])
	}
	return strings.TrimSpace(string(line)), nil
}
