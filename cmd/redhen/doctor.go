package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
	"redhen/appliance/status"
	"redhen/provision/p2p/netaddr"
)

// findings are what doctor shows.
type findings struct {
	Box    api.Box        `json:"box"`
	Houses []status.House `json:"houses,omitempty"`
	Faults []status.Fault `json:"faults,omitempty"`

	Strangers status.Strangers `json:"strangers"`
	Key       string           `json:"key,omitempty"` // of the circle, for a rented relay
}

func (a *app) doctorCommand() *cobra.Command {
	var strangers string
	cmd := &cobra.Command{
		Use: "doctor", Short: "How each house is reached, why so, and what would help", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if strangers != "" {
				return a.setStrangers(cmd.Context(), strangers)
			}
			box, err := a.box().Box(cmd.Context())
			if err != nil {
				return err
			}
			f := findings{Box: box}
			if box.Claimed {
				r, err := a.box().Status(cmd.Context())
				if err != nil {
					return err
				}
				f.Houses, f.Faults, f.Strangers, f.Key = r.Houses, r.Faults, r.Strangers, r.Key
			}
			return a.show(f, f.tell)
		},
	}
	cmd.Flags().StringVar(&strangers, "strangers", "", "on or off: may strangers help the boxes to find each other while no house can be called")
	return cmd
}

func (a *app) setStrangers(ctx context.Context, word string) error {
	if word != "on" && word != "off" {
		return &usageError{fmt.Errorf("--strangers %q: want on or off", word)}
	}
	if err := a.box().SetStrangers(ctx, word == "on"); err != nil {
		return err
	}
	if word == "on" {
		return a.done("Strangers may help this box to find the others, while no house can be called. They learn where it is, and can read nothing.")
	}
	return a.done("Strangers do not help this box any more.")
}

// tell says how this box is called, how it reaches the others, and what is wrong.
func (f findings) tell(w io.Writer) {
	if f.Box.Pages != "" {
		fmt.Fprintf(w, "The pages are at %s\n", pageLink(f.Box.Pages))
	} else {
		fmt.Fprintln(w, "This box shows no pages: it was started with --http \"\".")
	}
	fmt.Fprintln(w, callable(f.Box))
	if !f.Box.Claimed {
		fmt.Fprintln(w, "It is in no circle. Begin one with redhen found, or join one with redhen join.")
	}
	for _, h := range f.Houses {
		fmt.Fprintf(w, "\n%s\n", reach(h))
	}
	if f.Strangers.Words != "" {
		fmt.Fprintf(w, "\n%s\n", f.Strangers.Words)
	}
	tellFaults(w, f.Faults)
	if f.Box.Claimed && len(f.Faults) == 0 {
		fmt.Fprintln(w, "\nNothing else is wrong.")
	}
	if f.Key != "" {
		fmt.Fprintf(w, "\nFor a relay on a rented server: redhen relay --allow %s\n", f.Key)
	}
}

// callable says where other boxes may call this one.
func callable(b api.Box) string {
	var outside, inside []string
	for _, a := range b.Addresses {
		if netaddr.IsPublic(a.Addr()) {
			outside = append(outside, a.String())
		} else {
			inside = append(inside, a.String())
		}
	}
	said := fmt.Sprintf("Other boxes call this one on port %d, by TCP and UDP.", b.Port)
	if len(inside) > 0 {
		said += " In this house it is at " + strings.Join(inside, ", ") + "."
	}
	if len(outside) > 0 {
		return said + " From the internet it may be called at " + strings.Join(outside, ", ") + "."
	}
	return said + " It knows no address at which the internet could call it: it calls the others itself."
}

// reach says how a house is reached, why not better, and what would help.
func reach(h status.House) string {
	said := h.Name + ": " + h.Reached.Words + "."
	if !h.Reached.Since.IsZero() && h.Reached.How != status.Away {
		said += " So it is since " + h.Reached.Since.Local().Format("15:04 on 2 January") + "."
	}
	if h.Way.Why != "" {
		said += "\n    " + h.Way.Why
	}
	if h.Way.Do != "" {
		said += "\n    What would help: " + h.Way.Do
	}
	return said
}
