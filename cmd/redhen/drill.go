package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"redhen/appliance/account"
	"redhen/appliance/api"
	"redhen/appliance/drill"
)

func (a *app) drillCommand() *cobra.Command {
	var o api.DrillOrder
	var last, refuse, allow bool
	cmd := &cobra.Command{
		Use: "drill HOUSE", Short: "Have a house play dead for a minute, and see that people carry on (a keeper's password on the input)",
		Long: "Have the boxes of a house play dead for a minute. The boxes of the other houses then show that people log in, read and write.\n" +
			"The house comes back by itself, whatever becomes of this box. Any keeper may begin a drill; a keeper may refuse them for his own box.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case last:
				return a.lastDrill(cmd.Context())
			case refuse || allow:
				return a.drillConsent(cmd.Context(), allow)
			case len(args) != 1:
				return &usageError{fmt.Errorf("the name of a house is needed")}
			}
			if err := need(cmd, "keeper"); err != nil {
				return err
			}
			o.House = args[0]
			return a.drill(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Keeper, "keeper", "", "login name of the keeper who begins it")
	cmd.Flags().BoolVar(&last, "last", false, "show the report of the last drill")
	cmd.Flags().BoolVar(&refuse, "refuse", false, "have this box take no part in drills")
	cmd.Flags().BoolVar(&allow, "allow", false, "have this box take part in drills again")
	cmd.MarkFlagsMutuallyExclusive("last", "refuse", "allow")
	return cmd
}

func (a *app) drill(ctx context.Context, o api.DrillOrder) (err error) {
	o.Keeper = account.CleanName(o.Keeper)
	if o.Password, err = a.password("Password of " + o.Keeper); err != nil {
		return err
	}
	r, err := a.box().Drill(ctx, o, func(s api.DrillStep) { a.tellDrill(o.House, s) })
	if err != nil {
		return err
	}
	return a.showDrill(r)
}

// tellDrill shows one step.
func (a *app) tellDrill(house string, s api.DrillStep) {
	switch {
	case a.json:
		json.NewEncoder(a.out).Encode(s)
	case s.Stage == drill.StageAsking:
		fmt.Fprintf(a.out, "Asking %s to play dead for a minute …\n", house)
	case s.Stage == drill.StageSilent:
		fmt.Fprintf(a.out, "%s is silent.\n", house)
	case s.Stage == drill.StageProof && s.Proof != nil:
		fmt.Fprintln(a.out, proofLine(*s.Proof))
	case s.Stage == drill.StageBack:
		fmt.Fprintf(a.out, "%s is back.\n", house)
	}
}

func proofLine(p api.DrillProof) string {
	word := func(ok bool) string {
		if ok {
			return "yes"
		}
		return "no"
	}
	return fmt.Sprintf("    %s: log in %s, read %s, write %s; kept in %d, after %.1f s", p.Box, word(p.Login), word(p.Read), word(p.Write), p.Kept, p.Seconds)
}

func (a *app) showDrill(r api.DrillReport) error {
	return a.show(r, func(w io.Writer) { fmt.Fprintln(w, r.Sentence) })
}

func (a *app) lastDrill(ctx context.Context) error {
	r, err := a.box().LastDrill(ctx)
	if err != nil {
		return err
	}
	return a.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "%s, begun by %s\n", r.Began.Format("2 Jan 2006 15:04"), r.Keeper)
		for _, p := range r.Proofs {
			fmt.Fprintln(w, proofLine(p))
		}
		fmt.Fprintln(w, r.Sentence)
	})
}

func (a *app) drillConsent(ctx context.Context, consents bool) error {
	if err := a.box().ConsentToDrills(ctx, consents); err != nil {
		return err
	}
	if consents {
		return a.done("This box takes part in fire drills again.")
	}
	return a.done("This box takes no part in fire drills. Allow them again with redhen drill --allow.")
}
