package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"redhen/appliance/account"
	"redhen/appliance/api"
	"redhen/provision/qr"
)

func (a *app) inviteCommand() *cobra.Command {
	var pending bool
	var approve, reject, revoke string
	cmd := &cobra.Command{
		Use: "invite", Short: "Invite boxes and people, and let them in", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, box := cmd.Context(), a.box()
			switch {
			case approve != "":
				if err := box.Approve(ctx, approve); err != nil {
					return err
				}
				return a.done("%s is in the circle.", approve)
			case reject != "":
				if err := box.Reject(ctx, reject); err != nil {
					return err
				}
				return a.done("%s was refused. Its ticket stays open for the right box.", reject)
			case revoke != "":
				if err := box.Revoke(ctx, revoke); err != nil {
					return err
				}
				return a.done("The invite was taken back.")
			case pending:
				return a.showPending(ctx)
			}
			return &usageError{fmt.Errorf("say what: invite box, invite account NAME, --pending, --approve, --reject or --revoke")}
		},
	}
	cmd.Flags().BoolVar(&pending, "pending", false, "show who waits, and the open invites")
	cmd.Flags().StringVar(&approve, "approve", "", "let the waiting box of this name or ID in")
	cmd.Flags().StringVar(&reject, "reject", "", "refuse the waiting box of this name or ID")
	cmd.Flags().StringVar(&revoke, "revoke", "", "take the invite of this ID back")
	cmd.MarkFlagsMutuallyExclusive("pending", "approve", "reject", "revoke")
	cmd.AddCommand(a.inviteBoxCommand(), a.inviteAccountCommand())
	return cmd
}

func (a *app) inviteBoxCommand() *cobra.Command {
	var ask api.BoxInvite
	var life time.Duration
	cmd := &cobra.Command{
		Use: "box", Short: "Make a ticket for one box", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ask.Seconds = int64(life / time.Second)
			t, err := a.box().InviteBox(cmd.Context(), ask)
			if err != nil {
				return err
			}
			return a.show(t, func(w io.Writer) { tellTicket(w, t, ask.Waived) })
		},
	}
	cmd.Flags().BoolVar(&ask.Waived, "waived", false, "let the box in without asking: for scripts and gifts")
	cmd.Flags().DurationVar(&life, "for", 0, "how long it is good (default 10m)")
	return cmd
}

func tellTicket(w io.Writer, t api.Ticket, waived bool) {
	if code, err := qr.Draw(t.Link); err == nil {
		fmt.Fprintln(w, code.Terminal())
	}
	fmt.Fprintf(w, "Ticket:  %s\nLink:    %s\nID:      %s\nIt is for one box, and good until %s.\n", t.Text, t.Link, t.ID, t.Expires.Format("15:04 on 2 January"))
	if waived {
		fmt.Fprintln(w, "Whoever has it gets in without being asked: give it to the right person only.")
		return
	}
	fmt.Fprintln(w, "On the new box: redhen join TICKET --house … --box … --keeper …\nThen here:      redhen invite --pending, and redhen invite --approve BOX when the words agree.")
}

func (a *app) inviteAccountCommand() *cobra.Command {
	return &cobra.Command{
		Use: "account NAME", Short: "Invite a person who needs no box", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ask := api.PersonInvite{Login: account.SuggestName(args[0]), FullName: args[0]}
			inv, err := a.box().InviteAccount(cmd.Context(), ask)
			if err != nil {
				return err
			}
			me, err := a.box().Box(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(inv, func(w io.Writer) {
				fmt.Fprintf(w, "%s makes an account here, or at the same path of any other box of the circle:\n\n    %swelcome/%s\n\nIt is for one person, and good until %s.\n",
					args[0], pageLink(me.Pages), inv.Code, inv.Expires.Format("15:04 on 2 January"))
			})
		},
	}
}

func (a *app) showPending(ctx context.Context) error {
	inv, err := a.box().Invites(ctx)
	if err != nil {
		return err
	}
	return a.show(inv, func(w io.Writer) {
		if len(inv.Waiting) == 0 {
			fmt.Fprintln(w, "Nobody waits to be let in.")
		}
		for _, b := range inv.Waiting {
			fmt.Fprintf(w, "%s at %s, kept by %s, waits since %s (ID %s):\n\n    %s\n\n", b.Box, b.House, b.Keeper, b.Since.Format("15:04"), b.ID, wordsLine(b.Words))
			if b.Known {
				fmt.Fprintf(w, "%s is in the circle already, and gave the right password.\n", b.Keeper)
			}
			if b.SameHouse {
				fmt.Fprintf(w, "%s has a box already: the two would burn together.\n", b.House)
			}
		}
		for _, t := range inv.Tickets {
			if t.State == "open" {
				fmt.Fprintf(w, "An invite is open until %s (ID %s).\n", t.Expires.Format("15:04 on 2 January"), t.ID)
			}
		}
	})
}
