package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
	"redhen/appliance/status"
	"redhen/provision/p2p"
)

// findings are what doctor shows.
type findings struct {
	Box    api.Box        `json:"box"`
	Houses []status.House `json:"houses,omitempty"`
	Faults []status.Fault `json:"faults,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "What keeps a house from being reached", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
				f.Houses, f.Faults = r.Houses, r.Faults
			}
			return a.show(f, f.tell)
		},
	}
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
		if !h.Here {
			fmt.Fprintf(w, "\n%s\n", reach(h, f.Box.Port))
		}
	}
	tellFaults(w, f.Faults)
	if f.Box.Claimed && len(f.Faults) == 0 {
		fmt.Fprintln(w, "\nNothing else is wrong.")
	}
}

// callable says where other boxes may call this one.
func callable(b api.Box) string {
	var outside, inside []string
	for _, a := range b.Addresses {
		if p2p.IsPublic(a.Addr()) {
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
	return said + fmt.Sprintf(" It knows no address at which the internet could call it: it calls the others itself, and where no router lets calls in,"+
		" a friend's house passes everything on. To be called directly, have the router pass port %d through, or switch on “UPnP” there.", b.Port)
}

// reach says how a house is reached, why not better, and what would help.
func reach(h status.House, port int) string {
	said := h.Name + ": " + h.Reached.Words + "."
	if !h.Reached.Since.IsZero() && h.Reached.How != status.Away {
		said += " So it is since " + h.Reached.Since.Local().Format("15:04 on 2 January") + "."
	}
	switch h.Reached.How {
	case status.Through:
		return said + fmt.Sprintf(" Neither router lets the other's calls in, so %s passes everything on, and can read nothing of it."+
			" It is slower, and ends when %s is off. Have one of the two routers pass the port of its box through (here %d).", h.Reached.Via, h.Reached.Via, port)
	case status.Away:
		return said + " It does not answer at any address that is known, nor through a friend's house. If power and internet are on there," +
			" have its keeper run redhen doctor at that box."
	}
	return said
}
