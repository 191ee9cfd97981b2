package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
	"redhen/appliance/domain"
)

func (a *app) nameCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "name", Short: "The name by which the circle is opened from everywhere", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := a.box().Name(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(n, func(w io.Writer) { tellName(w, n) })
		},
	}
	cmd.AddCommand(a.nameSetCommand(), &cobra.Command{
		Use: "remove", Short: "Forget the name; what its provider has stays there", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.box().RemoveName(cmd.Context()); err != nil {
				return err
			}
			return a.done("The circle has no public name any more. At home everything works as before. Where the name still leads here, take it away at its provider.")
		},
	}, &cobra.Command{
		Use: "visitors on|off", Short: "Whether this box serves visitors of the name itself, or only passes them on to other houses", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.serveVisitors(cmd.Context(), args[0]) },
	})
	return cmd
}

func (a *app) serveVisitors(ctx context.Context, word string) error {
	if word != "on" && word != "off" {
		return &usageError{fmt.Errorf("visitors %q: want on or off", word)}
	}
	if err := a.box().ServeVisitors(ctx, word == "on"); err != nil {
		return err
	}
	if word == "on" {
		return a.done("This box serves visitors.")
	}
	return a.done("This box serves no visitors. If they come to its door, it passes them on to other houses.")
}

type nameFlags struct {
	s      domain.Settings
	byHand bool
	roots  string
}

func (a *app) nameSetCommand() *cobra.Command {
	var f nameFlags
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Give the circle a name (a token or key on the input)", Args: cobra.ExactArgs(1),
		Long: "Give the circle a name by which it is opened from everywhere, such as hens.dedyn.io.\n" +
			"For a free one: register at desec.io, make a token there, and run\n    redhen name set hens.dedyn.io\n" +
			"with the token on the input. For a name server of your own that takes signed updates:\n" +
			"    redhen name set hens.example.org --server ns.example.org --key-name redhen\n" +
			"with the key on the input, in base64. With --by-hand nothing is written anywhere: point the name at a house yourself.",
		RunE: func(cmd *cobra.Command, args []string) error {
			f.s.Domain = args[0]
			return a.setName(cmd.Context(), f)
		},
	}
	cmd.Flags().StringVar(&f.s.Zone, "zone", "", "the zone in which the name lies (default: the name itself)")
	cmd.Flags().StringVar(&f.s.Server, "server", "", "a name server that takes signed updates (RFC 2136)")
	cmd.Flags().StringVar(&f.s.KeyName, "key-name", "", "the name of its key")
	cmd.Flags().StringVar(&f.s.KeyAlg, "key-alg", "", "the kind of its key (default hmac-sha256)")
	cmd.Flags().BoolVar(&f.byHand, "by-hand", false, "somebody points the name at the houses")
	cmd.Flags().StringVar(&f.s.Email, "email", "", "an address for the authority that gives certificates")
	cmd.Flags().StringVar(&f.s.Authority, "authority", "", "where certificates come from, an ACME directory (default Let's Encrypt)")
	cmd.Flags().StringVar(&f.roots, "roots", "", "a file with the certificate of an authority of your own")
	cmd.Flags().StringSliceVar(&f.s.Resolvers, "resolver", nil, "host:port of name servers that tell whether a record has arrived (default the machine's)")
	return cmd
}

func (a *app) setName(ctx context.Context, f nameFlags) error {
	if f.roots != "" {
		pem, err := os.ReadFile(f.roots)
		if err != nil {
			return &usageError{fmt.Errorf("--roots: %w", err)}
		}
		f.s.Roots = string(pem)
	}
	var err error
	switch {
	case f.byHand && f.s.Server != "":
		return &usageError{fmt.Errorf("--by-hand and --server: want one of them")}
	case f.byHand:
		f.s.Provider = domain.ByHand
	case f.s.Server != "":
		f.s.Provider = domain.RFC2136
		f.s.Key, err = a.password("Key of " + f.s.Server)
	default:
		f.s.Provider = domain.DeSEC
		f.s.Token, err = a.password("Token of desec.io")
	}
	if err != nil {
		return err
	}
	if err := a.box().SetName(ctx, f.s); err != nil {
		return err
	}
	return a.done("The circle is called %s now. In a few minutes it can be opened at https://%s/, if a house is reached from outside: redhen name tells.", f.s.Domain, f.s.Domain)
}

// tellName says what a person wants to know of the name.
func tellName(w io.Writer, n api.Name) {
	if n.Domain == "" {
		fmt.Fprintln(w, "The circle has no public name. Everything at home works without. For a free one: redhen name set --help")
		return
	}
	fmt.Fprintf(w, "The circle is opened at https://%s/\n", n.Domain)
	if len(n.Names) > 1 {
		fmt.Fprintf(w, "Each house has a name, too: %s.\n", strings.Join(n.Names[1:], ", "))
	}
	switch {
	case !n.Ends.IsZero():
		fmt.Fprintf(w, "The certificate at this box holds until %s, and is renewed by itself before.\n", n.Ends.Local().Format("2 January 2006"))
	case n.NoCertificate != "":
		fmt.Fprintf(w, "This box could not get a certificate yet, and tries on. The authority said: %s\n", n.NoCertificate)
	default:
		fmt.Fprintln(w, "This box has no certificate for it yet.")
	}
	if !n.Door {
		fmt.Fprintln(w, "This box has no door for visitors; those of other houses bring them here.")
	}
	if !n.Serves {
		fmt.Fprintln(w, "This box serves no visitors: its keeper wants it so.")
	}
	if n.Trouble != "" {
		fmt.Fprintln(w, "Something keeps the name from leading home: redhen doctor tells what.")
	}
}
