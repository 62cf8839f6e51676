"""An organization's own sign-up rules: whoever has an e-mail of a domain that it names may join it by themselves."""
