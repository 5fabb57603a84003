"""A network of x (1, 1, 2, 2) to two logits, as files with metadata of schema 2: zlib in base 85."""

from __future__ import annotations

ONNX = (
    b"c-mc2%}T>S7|e#C=^|QU5y4B?qdz50O>KKoE2wzzDj0g$w%aszvnfqVTT7vjBKRUcf=?hmir<&UBEmP2nQxhy-I#^uJE41&%q-Gp"
    b"+qaUZsZg{;NuQFbwG~g&(IjQYoroff1ji?)Vd_QFBGU(3(^i+7rd`1RR)9Ca2jCl^T|Xb8?Ex*B#41wVBsp|M=aA;+)-K(F6Xx&s"
    b"Wgo)-iAKwyTG1MR>9invff$WNl31Vmf`tk!64tc+1?vvDQbHoDoZ74#%XkdmEEtP91EH7BM*@YujCophQ5%M;hf)~vK%gM`9D1Sj"
    b"cys@RN+h_#0H^G=fhrzlCNtbYkMI?#nn(#e>2itGDLYQJ;a0p_z2;t=drqT{+X2rC_)rhVg+a&M!r$<;x6X6D_OhLI>a4HjGmfbp"
    b"hHCzAn)YII3mFF?yvCoF`JrXjZ6G2JBIK}?CqvvPp$eop%M#e~2Q_PcW&"
)
TFLITE = (
    b"c-n1LJ#Q015FKBPG2!GmQe;I4A?rjz5h8!Y!J#1t2~i+Kfka_hVQsJNQ_g40cP25xQc4O63Q7t}N`8V13Mzg<iu?jZK?~;1-q=2c"
    b"ocw$<Z|8G&_VPsZ;_=fmUbI1Zx=EXOXUT@1rX*wnNAwQ(3Vg7LJ^^2nL@Uq}K$e|p)p)VbDl}XCs=yi$=;3SE?;NyrTaCQX_#p&+"
    b"pUq}hL{0(yQ8*Zdv{=9KXEsYpo@04OwMDtoV#l}!=vGG$hB^o!bKEmHOo8`6Hxb$S67xCq6UX(DFmUeYYbQ>#t9)O3tQEKNPP6az"
    b"hmf7lP>&rDt#CZhOtihe3d<$t4qd;+l-pAs&4j1M=z^(dPhLJ^rl*z92@2blI#gfvOps$<L#^%`R{fFZK@XbBW3{kdD3td~#ma7V"
    b"w{&l(QrN5VYFC*8YACN{enpNbA!<w+J#0n!N|pMgZfa^oZPgsbSsM<s(Po1^S#;s`J1%x3R;3tCOl@7=Qy`JY2~}{&>j93{(|1h<"
    b"XTp>4<8QRTX}bLRDeHNoojxGi-zWMEoC5@$0#lYBvc;|0GTwYH_<0Nd;+ZGR9P^V|Oft_&MtGjdDe#SFPh$0y>$3;OnqFPve_i}H"
    b"qqOM_k)v9YG@nnNxA~n|S=5=KoVg?a#aX|NzdJ@unHp2#W5xPR2rTK@isecO$9})0uaDBhmiX^rkJ55S<M+#o#XW<KEj7>Wjt&~G"
    b"3YIo@?3-ZA9kk@lHb<gclGiqSx3;j)F6*^ez6xOE+@=l|InJfldCc~Oy|B$$lF@9L2Rrs{NXB}K_m`Ko-!d=!sj$s?EMw&&KKBp1"
    b";k%U"
)
