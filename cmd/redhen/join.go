package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
	"redhen/appliance/circle"
)

func (a *app) joinCommand() *cobra.Command {
	var j api.Join
	cmd := &cobra.Command{
		Use: "join TICKET", Short: "Bring a fresh box into a friend's circle (password on the input)", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := need(cmd, "house", "box", "keeper"); err != nil {
				return err
			}
			j.Ticket = strings.Join(args, " ")
			if j.Keeper, err = a.keeper(j.Keeper.Login); err != nil {
				return err
			}
			tell := teller{app: a}
			if err := a.box().Join(cmd.Context(), j, tell.step); err != nil {
				return withFlag(err)
			}
			return a.done("%s at %s is in the circle. %s may log in at every house.", j.Box, j.House, j.Keeper.Login)
		},
	}
	a.placeFlags(cmd, &j.House, &j.Box, &j.Keeper.Login)
	cmd.Flags().BoolVar(&j.SameHouse, "same-house", false, "the house is one of the circle, and has a box already")
	cmd.Long = "Bring a fresh box into a friend's circle. The keeper is new there, or has an account of the circle:\nthen the password is that account's. The password is read from the input."
	return cmd
}

// withFlag says at the command line how to name a house that is there.
func withFlag(err error) error {
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e.Code != circle.HouseThere {
		return err
	}
	return &api.Error{Code: e.Code, Sentence: e.Sentence + " (The same house: --same-house.)"}
}

// teller shows the steps of joining, each change once.
type teller struct {
	app  *app
	last api.Step
}

func (t *teller) step(s api.Step) {
	if t.app.json {
		json.NewEncoder(t.app.out).Encode(s)
		return
	}
	last := t.last
	t.last = s
	switch {
	case s.Stage == api.StageConnecting && s.Trouble != "" && last.Trouble == "":
		fmt.Fprintln(t.app.out, "The inviting box does not answer yet. Trying on; Ctrl-C ends it, and changes nothing.")
	case s.Stage == api.StageConnecting && last.Stage == "":
		fmt.Fprintln(t.app.out, "Looking for the inviting box …")
	case s.Stage == api.StageWaiting && last.Stage != s.Stage:
		fmt.Fprintf(t.app.out, "Found %s of the circle %s. Its houses: %s. Who keeps a box there: %s.\n", s.Inviter, s.Circle,
			strings.Join(s.Houses, ", "), strings.Join(s.Keepers, ", "))
		if s.Known {
			fmt.Fprintln(t.app.out, "Your account is there, and the password is right.")
		}
		fmt.Fprintf(t.app.out, "Both of you should see:\n\n    %s\n\nWaiting for your friend's yes …\n", wordsLine(s.Words))
	}
}

// wordsLine shows the words that two people compare.
func wordsLine(words []api.Word) string {
	var parts []string
	for _, w := range words {
		parts = append(parts, w.Picture+" "+w.Text)
	}
	return strings.Join(parts, "   ")
}
